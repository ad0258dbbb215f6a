/** The parts of the fuzzer: it knows every route, draws the same from the same seed, and its judge finds what it is meant to find. */
import assert from 'node:assert/strict';
import {
  feedParameters,
  itemParameters,
  itemsParameters,
  searchFields,
  searchParameters,
  suggestParameters,
} from '../../../shared/protocol/read-parameters.ts';
import { AnswerReader } from '../../fuzz/answers.ts';
import { grammars } from '../../fuzz/grammar.ts';
import { Judge } from '../../fuzz/judge.ts';
import { drawFuzzRequest } from '../../fuzz/mutate.ts';
import { publicRoutes } from '../../fuzz/routes.ts';
import { hostileValues, jsonText, Raw } from '../../fuzz/values.ts';
import { seededRandom } from '../../harness/kernel/seeded-random.ts';

const answered = (status: number, body: string, type = 'application/problem+json') => ({
  ...{ status, body: Buffer.from(body), closes: false },
  headers: new Map([
    ['content-type', type],
    ['x-request-id', 'a'],
  ]),
});

describe('the fuzzer', () => {
  it('has a grammar for every public route, and for no other', () => {
    assert.deepEqual(Object.keys(grammars).sort(), [...publicRoutes()].sort());
  });

  it('has all parameters of the reads, and all fields of their bodies', () => {
    const known: readonly (readonly [string, readonly string[]])[] = [
      ['GET /items/:id', itemParameters],
      ['GET /items', itemsParameters],
      ['GET /suggest', suggestParameters],
      ['GET /feed', feedParameters],
      ['POST /feed', feedParameters],
      ['GET /search', searchParameters],
      ['POST /search', searchFields],
    ];
    for (const [route, names] of known) {
      const drawn = new Set<string>();
      const random = seededRandom(5);
      for (let count = 0; count < 5_000; count++) {
        const { query, body } = grammars[route]!.draw(random);
        for (const name of [...query.map(([each]) => each), ...Object.keys(body ?? {})]) drawn.add(name);
      }
      assert.deepEqual(
        names.filter((name) => !drawn.has(name)),
        [],
        route,
      );
    }
  });

  it('draws the same request from the same seed and number, and others from others', () => {
    const drawn = (seed: number): string[] =>
      Array.from({ length: 300 }, (_, index) => drawFuzzRequest(seed, index).bytes.toString('latin1'));
    assert.deepEqual(drawn(7), drawn(7));
    const [seven, eight] = [new Set(drawn(7)), drawn(8)];
    assert.ok(seven.size > 250);
    assert.ok(eight.filter((request) => !seven.has(request)).length > 250);
  });

  it('draws the same however many were drawn before: what is mutated is no value of a list', () => {
    const values = jsonText(hostileValues);
    const first = drawFuzzRequest(20_261_201, 7).bytes.toString('latin1');
    for (let index = 0; index < 60_000; index++) drawFuzzRequest(20_261_201, index);
    assert.equal(jsonText(hostileValues), values);
    assert.equal(drawFuzzRequest(20_261_201, 7).bytes.toString('latin1'), first);
  }).timeout(60_000);

  it('frames every request so that it ends where its length says', () => {
    for (let index = 0; index < 2_000; index += 1) {
      const { bytes, bodyBytes } = drawFuzzRequest(3, index);
      const text = bytes.toString('latin1');
      const head = text.slice(0, text.indexOf('\r\n\r\n'));
      assert.match(head, /^[!-~]+ [!-\xff]+ HTTP\/1\.1\r\nhost: fuzz/);
      const length = /\r\ncontent-length: (\d+)(\r\n|$)/.exec(head)?.[1];
      if (length === undefined) assert.ok(/\r\ntransfer-encoding: chunked/.test(head) || bodyBytes === 0, head);
      else assert.equal(bytes.length, head.length + 4 + Number(length), head);
    }
  });

  it('writes JSON that no value is written as', () => {
    assert.equal(jsonText({ a: [new Raw('1e400'), null, 'x'], b: new Raw('{,}') }), '{"a":[1e400,null,"x"],"b":{,}}');
  });

  it('reads answers in their order, whole or in pieces, of any framing', () => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab' +
      'HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
    for (const size of [1, 7, text.length]) {
      const reader = new AnswerReader();
      const read: string[] = [];
      for (let at = 0; at < text.length; at += size) {
        reader.add(Buffer.from(text.slice(at, at + size)));
        for (let answer = reader.next(false); answer !== undefined; answer = reader.next(false)) {
          read.push(`${answer.status} ${answer.body} ${answer.closes}`);
        }
      }
      assert.deepEqual(read, ['200 ab false', '400 abc true']);
    }
    for (const wrong of ['nonsense\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n']) {
      const reader = new AnswerReader();
      reader.add(Buffer.from(wrong));
      assert.throws(() => reader.next(false), /no answer|no stated length/);
    }
  });

  it('finds a failure, an unknown code, a missing answer and a missing request id; patience is none', () => {
    const request = drawFuzzRequest(1, 0);
    const found = (answer: ReturnType<typeof answered> | undefined): number => {
      const judge = new Judge(1);
      judge.isLast = true;
      judge.judge({
        request,
        repeated: false,
        tookMs: 1,
        ...(answer === undefined ? { reason: 'closed' } : { answer }),
      });
      return judge.findings.length;
    };
    assert.equal(found(answered(500, '{"code":"internal"}')), 1);
    assert.equal(found(answered(400, '{"code":"no_such_code"}')), 1);
    assert.equal(found(answered(400, 'text', 'text/plain')), 1);
    assert.equal(found(undefined), 1);
    assert.equal(found({ ...answered(200, '{}', 'application/json'), headers: new Map() }), 1);
    assert.equal(found(answered(503, '{"code":"overloaded"}')), 0);
    assert.equal(found(answered(503, '{"code":"storage_full"}')), 1);
    assert.equal(found(answered(400, '{"code":"invalid_json"}')), 0);
    const judge = new Judge(5);
    judge.find({ request }, 'a flaw');
    assert.match(judge.findings[0]!, /^--seed 5 --only 0 \(/);
  });
});

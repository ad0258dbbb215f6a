/** The operator's commands against a running cluster: what they do, print, and end with. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { startTidal } from '../harness/clients/tidal-command.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

describe('tidal and a running cluster', function () {
  this.timeout(180_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
    await cluster.post('/items', { entity_id: 1, metadata: { title: 'Night train', category: 'music' } });
    await cluster.post('/items', { entity_id: 2, metadata: { title: 'Night bus \u009b31m' } });
    await cluster.converged();
  });
  after(() => cluster?.stop());

  const started = (args: readonly string[]) => startTidal(args, { TIDAL_URL: cluster.url });
  const tidal = (...args: readonly string[]) => started(args).done;
  const done = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await tidal(...args);
    assert.deepEqual([code, stderr], [0, ''], args.join(' '));
    return stdout;
  };

  it('a drill: status, partition, heal, promote, verify', async () => {
    await eventually('the cluster is well', async () => /^ok: us-east leads/.test(await done('status')));
    assert.match(
      await done('status'),
      /^May be stopped: eu-west, ap-south; not us-east \(it leads: promote another first\)\.$/m,
    );
    assert.match(await done('partition', 'ap-south', '--heal-after', '5m'), /^ap-south is partitioned until \d{4}-/);
    assert.match(await done('status'), /^ap-south +follower +ready, partitioned until \d\d:\d\d:\d\d /m);
    await cluster.post('/signals', { entity_id: 1, signal: 'like' });
    const { code, stdout, stderr } = await tidal('verify');
    assert.deepEqual(
      [code, /it is not known whether the regions agree: .*ap-south/.test(stderr)],
      [1, true],
      stderr + stdout,
    );
    assert.match(
      await done('heal', 'ap-south', '--wait'),
      /^ap-south is healed and has caught up with us-east, eu-west in \d+ ms; \d+ events were missed$/m,
    );
    assert.match(
      await done('promote', 'eu-west'),
      /^eu-west leads since epoch \d+, after us-east: \d+ events handed over/,
    );
    await eventually('the journal has it', async () =>
      /eu-west leads since epoch \d+ after us-east \(planned\)/.test(await done('events', '--limit', '1')),
    );
    const journal = await done('events');
    assert.match(
      journal,
      /us-east leads since epoch 1\n[\s\S]*ap-south partitioned until \d{4}-[\s\S]*ap-south healed\n/,
      journal,
    );
    assert.match(await done('promote', 'eu-west'), /^eu-west leads already, epoch \d+$/m);
    const digests = (await done('verify')).trim().split('\n');
    assert.equal(digests.length, 4);
    assert.match(digests[3]!, /^all regions agree at /);
  });

  it('trace: where a write is, by its position, its key and the id of its request', async () => {
    const lines = async (word: string) => (await done('trace', word)).trim().split('\n');
    await done('partition', 'ap-south', '--heal-after', '5m');
    const { body } = await cluster.post<{ position: string }>(
      '/signals',
      { entity_id: 1, signal: 'like' },
      { 'idempotency-key': 'order-17', 'x-request-id': 'request-17' },
    );
    const followers = async () => (await lines(body.position)).filter((line) => /^us-east +yes +yes +0$/.test(line));
    await eventually('the other region has it', async () => (await followers()).length === 1);
    const [heading, , , , leader, partitioned] = await lines(body.position);
    assert.equal(heading, `position ${body.position}`);
    assert.match(leader!, /^eu-west +yes +yes +0$/);
    assert.match(partitioned!, /^ap-south +no +no +[1-9]\d*$/);
    const [used, position] = await lines('order-17');
    assert.match(used!, new RegExp(`^${body.position} accepted \\d{4}-.* \\(signals\\)$`));
    assert.equal(position, heading);
    assert.equal((await lines('request-17'))[0], heading);
    const { code, stderr } = await tidal('trace', 'order-18');
    assert.deepEqual([code, /unknown_event.*seven days/.test(stderr)], [1, true], stderr);
    await done('heal', 'ap-south', '--wait');
  });

  it('reads: feed, search, an item; control characters do not reach the terminal', async () => {
    const items = await done('search', 'night', '--region', 'ap-south');
    assert.match(items, /^ +\d +1 +[\d.]+ +\{"title":"Night train"/m);
    assert.match(items, /Night bus \\u009b31m/);
    assert.match(items, /^ap-south, \d+ events behind the leader, at /m);
    assert.match(await done('feed', '--profile', 'new', '--limit', '1', '--filter', 'category:music'), /Night train/);
    const { items: feed } = JSON.parse(await done('feed', '--profile', 'new', '--json')) as { items: unknown[] };
    assert.equal(feed.length, 2);
    const item = JSON.parse(await done('items', 'get', '2')) as { metadata: { title: string } };
    assert.equal(item.metadata.title, 'Night bus \u009b31m');
  });

  it('a refusal is one sentence with the hint, and exit code 1; a mistake is 2', async () => {
    for (const [args, code, said] of [
      [
        ['promote', 'nowhere'],
        1,
        /^tidal: .*nowhere.* \(unknown_region\); known regions: us-east, eu-west, ap-south\n$/,
      ],
      [['items', 'get', '99'], 1, /\(unknown_item\)/],
      [['feed', '--profile', 'nope'], 1, /\(unknown_profile\)/],
      [['status', '--url', 'http://127.0.0.1:9'], 1, /^tidal: no answer from http:\/\/127\.0\.0\.1:9: /],
      [['promote'], 2, /expected REGION after the command/],
      [['feed', '--profil', 'new'], 2, /--profil/],
      [['status', '--url', 'localhost:9500'], 2, /--url must be an http or https address/],
      [['status', '--watch', '--every', '0'], 2, /--every must be 0\.1 to 3600 seconds/],
    ] as const) {
      const { code: ended, stderr, stdout } = await tidal(...args);
      assert.equal(ended, code, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, said);
    }
  });

  it('watches until it is interrupted', async () => {
    const { child, said } = started(['status', '--watch', '--every', '0.1']);
    await eventually('it has shown the cluster twice', () => said.stdout.split(' leads, epoch ').length > 2, 20_000);
    child.kill('SIGINT');
    await once(child, 'close');
    assert.equal(child.exitCode, 130);
  });
});

/** Versions as processes state them, and which of them understand each other. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  asVersion,
  formatVersion,
  OWN_VERSION,
  PROGRAM_VERSION,
  parseVersion,
  requireUnderstandable,
  requireUnderstood,
  retractionRefusal,
} from '../../../../shared/protocol/version.ts';

describe('versions', () => {
  it('the program states the version of package.json', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
    assert.equal(PROGRAM_VERSION, version);
  });

  it('what is stated is read back; a process that states none speaks protocol 1', () => {
    assert.deepEqual(parseVersion(formatVersion(OWN_VERSION)), OWN_VERSION);
    assert.deepEqual(asVersion(JSON.parse(JSON.stringify(OWN_VERSION))), OWN_VERSION);
    assert.deepEqual(parseVersion(''), { protocols: { oldest: 1, newest: 1 } });
    assert.deepEqual(asVersion(undefined), { protocols: { oldest: 1, newest: 1 } });
  });

  it('a text or a value that is no version is not one', () => {
    for (const text of [
      '0.1.0',
      '1-1',
      '0.1.0 1',
      '0.1.0 2-1',
      '0.1.0 0-1',
      '0.1.0 1-1 x',
      '0 1-9999999',
      `${'9'.repeat(40)} 1-1`,
    ]) {
      assert.equal(parseVersion(text), undefined, text);
    }
    for (const value of [null, 1, 'x', {}, { program: '1' }, { program: 1, protocols: { oldest: 1, newest: 1 } }]) {
      assert.equal(asVersion(value), undefined, JSON.stringify(value));
    }
    assert.throws(() => requireUnderstood('rubbish'), {
      code: 'version_mismatch',
      message: /states the version rubbish/,
    });
  });

  it('retractions wait until every region speaks a protocol that has them', () => {
    assert.equal(retractionRefusal('eu-west', OWN_VERSION), undefined);
    for (const version of [undefined, { protocols: { oldest: 1, newest: 1 } }]) {
      const refusal = retractionRefusal('eu-west', version);
      assert.equal(refusal?.code, 'version_mismatch');
      assert.match(refusal?.message ?? '', /^eu-west runs an earlier version, which does not know retractions$/);
    }
  });

  it('two processes understand each other if their protocols overlap, and otherwise name both versions', () => {
    for (const header of ['', formatVersion(OWN_VERSION), '0.2.0 1-2', '9.9.9 1-7']) requireUnderstood(header);
    assert.throws(() => requireUnderstood('0.3.0 3-4'), {
      code: 'version_mismatch',
      message:
        'the sender of the request runs version 0.3.0, which speaks protocol 3 to 4; version 0.1.0 here speaks 1 to 2',
    });
    requireUnderstandable('eu-west', { protocols: { oldest: 1, newest: 1 } });
    assert.throws(() => requireUnderstandable('eu-west', { program: '1.0.0', protocols: { oldest: 4, newest: 4 } }), {
      code: 'version_mismatch',
      message:
        /^eu-west runs version 1\.0\.0, which speaks protocol 4; version 0\.1\.0 here speaks 1 to 2: upgrade the older/,
    });
  });
});

/** Errors of the server are distinguished. */
import assert from 'node:assert/strict';
import { errorCodeOf, faultOfApiError, faultOfTimeout } from '../../../../shared/stream/jetstream-errors.ts';

describe('errors of the stream', () => {
  it('are distinguished by their number, never by code or text (schedule 11)', () => {
    const full = faultOfApiError({ code: 503, err_code: 10077, description: 'maximum bytes exceeded' }, 'publish');
    assert.equal(full.code, 'stream_error');
    assert.match(full.message, /maximum bytes exceeded \(10077\)/);
    assert.equal(
      faultOfTimeout(Object.assign(new Error('503'), { code: '503' }), 'publish').code,
      'stream_unavailable',
    );
    const gone = { code: 404, err_code: 10059, description: 'stream not found' };
    assert.equal(faultOfApiError(gone, 'info').code, 'stream_missing');
    const none = { code: 404, err_code: 10037, description: 'no message found' };
    assert.equal(faultOfApiError(none, 'get').code, 'stream_error', 'the same code, another number');
    assert.equal(faultOfApiError({ code: 404, description: 'stream not found' }, 'info').code, 'stream_error');
  });

  it('an error the library threw carries the number along, where it has one', () => {
    assert.equal(errorCodeOf(Object.assign(new Error('x'), { code: '400', api_error: { err_code: 10071 } })), 10071);
    assert.equal(errorCodeOf(Object.assign(new Error('10071'), { code: '503' })), undefined);
    assert.equal(errorCodeOf(undefined), undefined);
  });
});

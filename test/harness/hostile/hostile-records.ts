/** Values of the leadership key that are no record of the cluster: each is refused, whatever epoch the cluster is in. */

/** A text is written as it is, anything else as JSON. */
export const hostileRecords: readonly (readonly [what: string, value: unknown, reason: RegExp])[] = [
  ['a leader that is no region', { leader: 'nobody', epoch: 50, nonce: 'x' }, /"nobody" is no region of the topology/],
  [
    'the largest epoch',
    { leader: 'eu-west', epoch: Number.MAX_SAFE_INTEGER, nonce: 'z' },
    /epoch 9007199254740991 is beyond/,
  ],
  ['an epoch of half a billion', { leader: 'eu-west', epoch: 500_000_000, nonce: 'z' }, /epoch 500000000 is beyond/],
  [
    'a handover to nobody',
    { leader: 'us-east', epoch: 1, nonce: 'z', handover: { to: 'x', id: 'i' } },
    /handover to "x"/,
  ],
  ['what is not JSON', '{"leader":', /it is not an object/],
];

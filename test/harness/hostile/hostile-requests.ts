/** Requests to a region's own port that break the rules of the public surface: each is refused with 400, and changes nothing. */

const nested = { k: 'i', e: 77, m: { a: { b: 1 }, tags: [1, null] } };
/** A write as a router sends it. */
export const view = { k: 's', e: 77, s: 'view', w: 1_000 };
/** A request that is right, where epoch 1 is. */
export const whole = { epoch: 1, atomic: true, writes: [view] };
const writes = (...list: readonly unknown[]) => ({ epoch: 1, atomic: true, writes: list });
/** What JSON has no word for. */
const infinite = '{"epoch":1,"atomic":true,"writes":[{"k":"d","e":1e400}]}';

/** A text is sent as it is. */
export const hostileRequests: readonly [path: string, body: unknown][] = [
  ...['writes', 'handover', 'await', 'drain', 'partition', 'digest-counts'].flatMap((route): [string, unknown][] =>
    ['null', '[]', '5', '"text"', '{}'].map((body) => [`/internal/${route}`, body]),
  ),
  ['/internal/writes', writes(null)],
  ['/internal/writes', writes(5)],
  ['/internal/writes', writes([])],
  ['/internal/writes', writes({ k: 'x', e: 1 })],
  ['/internal/writes', writes({ e: 1 })],
  ['/internal/writes', { ...whole, clients: 'the key a' }],
  ['/internal/writes', { ...whole, clients: [5] }],
  ['/internal/writes', { ...whole, clients: ['c'.repeat(129)] }],
  ['/internal/writes', writes({ ...view, key: 5 })],
  ['/internal/writes', writes({ ...view, key: null })],
  ['/internal/writes', writes({ ...view, key: ['a', 'b'] })],
  ['/internal/writes', writes({ ...view, key: [{}, []] })],
  ['/internal/writes', writes({ k: 'i', e: 77, m: null })],
  ['/internal/writes', writes({ k: 'i', e: 77 })],
  ['/internal/writes', writes({ k: 'i', e: 77, m: [] })],
  ['/internal/writes', writes(nested)],
  ['/internal/writes', writes({ k: 'i', e: 77, m: { '': 1 } })],
  ['/internal/writes', writes({ k: 'i', e: 77, m: { ['n'.repeat(129)]: 1 } })],
  ['/internal/writes', writes({ ...view, w: 1e308 })],
  ['/internal/writes', writes({ ...view, w: -7, e: -5 })],
  ['/internal/writes', writes({ ...view, w: 10_000_001 })],
  ['/internal/writes', writes({ ...view, w: '1' })],
  ['/internal/writes', writes({ ...view, t: -1 })],
  ['/internal/writes', writes({ ...view, t: 0.5 })],
  ['/internal/writes', writes({ ...view, s: 5 })],
  ['/internal/writes', writes({ ...view, s: '' })],
  ['/internal/writes', writes({ ...view, s: 'no_such_signal' }, { k: 'd', e: -1 })],
  ['/internal/writes', infinite],
  ['/internal/writes', writes({ k: 'v', e: 1, b: 5 })],
  ['/internal/writes', writes({ k: 'v', e: 1, b: '' })],
  ['/internal/writes', writes({ k: 'v', e: 1, b: Buffer.alloc(12, 0xff).toString('base64') })],
  ['/internal/writes', { ...whole, epoch: undefined }],
  ['/internal/writes', { ...whole, epoch: '1' }],
  ['/internal/writes', { ...whole, epoch: null }],
  ['/internal/writes', { ...whole, epoch: 1.5 }],
  ['/internal/writes', { ...whole, atomic: 'yes' }],
  ['/internal/writes', { ...whole, durability: 'disk' }],
  ['/internal/writes', { ...whole, writes: {} }],
  ['/internal/writes', { ...whole, signals: 5 }],
  ['/internal/writes', { ...whole, signals: 'AAAA' }],
  ['/internal/writes', { epoch: 1, atomic: true, signals: Buffer.alloc(64, 0xff).toString('base64') }],
  ['/internal/handover', { id: null }],
  ['/internal/await', { position: 5, limitMs: 1 }],
  ['/internal/await', { position: 'e,v:i:1', limitMs: 1 }],
  ['/internal/await', { position: '', limitMs: '1' }],
  ['/internal/drain', { limitMs: null }],
  ['/internal/digest-counts', { id: 'a'.repeat(17), covering: '' }],
  ['/internal/digest-counts', { id: 'a'.repeat(16), covering: 'x' }],
  ['/internal/partition', { partitioned: 'yes' }],
  ['/internal/partition', { partitioned: true, healAfterMs: null }],
];

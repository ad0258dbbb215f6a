/**
 * Deliberate bugs of the protocol, each a change of the built code that must apply exactly once: what the simulation must
 * find to be believed when it finds nothing.
 */
export interface Mutant {
  readonly name: string;
  /** Below `dist/`. */
  readonly file: string;
  readonly changes: readonly (readonly [find: string, replace: string])[];
  /** That every run has which looks for it: one of weight 1 is in one run of 68. Absent: the plain mix finds it. */
  readonly theme?: string;
}

const region = 'services/region';
const router = 'services/router';

export const mutants: readonly Mutant[] = [
  {
    name: 'answers before the flush',
    file: `${region}/intake/group-commit.js`,
    changes: [
      [
        'await wal.append({ batches: built.batches, own: true });',
        `const flush = wal.append({ batches: built.batches, own: true });
            for (const [index, entry] of accepted.entries()) entry.resolve({ position: new Map([[origin, built.placed[index]]]) });
            await flush;`,
      ],
    ],
  },
  {
    name: 'ships, serves and reports before the flush',
    file: `${region}/wal/log.js`,
    changes: [
      [
        "transaction.put('marks', OFFSET, encodeJson(newOffset));\n        });",
        "transaction.put('marks', OFFSET, encodeJson(newOffset));\n            for (const info of after.values()) this.learn(info);\n        });",
      ],
    ],
  },
  {
    name: 'appends a batch after a gap',
    file: `${region}/receive/ingest.js`,
    changes: [['if (first > durable + 1) {', 'if (Number.isNaN(first)) {']],
  },
  {
    name: 'moves the offset past a missing range',
    file: `${region}/receive/stream-receiver.js`,
    changes: [
      ['this.passedOver.size === 0 ? offset : undefined)\n', 'offset)\n'],
      [
        '            this.held = this.passedOver.size === 0 ? undefined : offset;',
        '            this.passedOver.clear(); this.options.wal.noteOffset(offset);',
      ],
    ],
  },
  {
    name: 'stores the offset with the first of several transactions',
    file: `${region}/receive/ingest.js`,
    changes: [['from === batches.length && gaps.length === 0', 'gaps.length === 0']],
  },
  {
    name: 'trusts the offset without its fingerprint',
    theme: 'a stream loses its end',
    file: `${region}/receive/stream-receiver.js`,
    changes: [['const reason = await doubt();', 'const reason = undefined;']],
  },
  {
    name: 'appends to an origin this process did not open',
    file: `${region}/intake/group-commit.js`,
    changes: [
      [
        'await wal.openOrigin(origin, epoch);',
        `const old = wal.origins().find((info) => info.epoch === epoch && info.origin.startsWith(region + '@'));
        if (old !== undefined) {
            wal.owned.add(old.origin);
            this.open = { origin: old.origin, epoch };
            return old.origin;
        }
        await wal.openOrigin(origin, epoch);`,
      ],
    ],
  },
  {
    name: 'adopts an older leadership record',
    file: `${region}/leadership/leadership-role.js`,
    changes: [
      [
        'if (before !== undefined && (record.epoch < before.epoch || (record.epoch === before.epoch && !fromKey)))',
        'if (before !== undefined && !fromKey && record.epoch <= before.epoch)',
      ],
    ],
  },
  {
    name: 'drops the epoch check: accepts in the epoch a router names',
    file: `${region}/leadership/leadership-role.js`,
    changes: [
      ['if (epoch > known.epoch) {', 'if (false) {'],
      ['if (epoch < known.epoch)\n', 'if (false)\n'],
      ['writeBlocker() ?? { epoch: known.epoch }', 'writeBlocker() ?? { epoch }'],
    ],
  },
  {
    name: 'accepts during a handover',
    theme: 'a leader receives SIGTERM',
    file: `${region}/leadership/leadership-role.js`,
    changes: [['if (known.handover !== undefined) {', 'if (false) {']],
  },
  {
    name: 'accepts after a start before its leadership is confirmed',
    file: `${region}/leadership/leadership-role.js`,
    changes: [['if (!this.confirmed)\n            return new Refusal', 'if (false)\n            return new Refusal']],
  },
  {
    name: 'trusts a recreated bucket',
    file: `${router}/cluster/bootstrap.js`,
    changes: [
      ['if (highest !== undefined)\n        return after(', 'if (false)\n        return after('],
      ['return loggedEpoch === 0 ? {', 'return true ? {'],
    ],
  },
  {
    name: 'does not rewrite a leadership key that is behind the regions',
    file: `${router}/cluster/leadership.js`,
    changes: [
      [
        'if (!this.repairs.due)',
        'if (record !== undefined) { this.record = record; for (const listener of [...this.listeners]) listener(); return; }\n            if (!this.repairs.due)',
      ],
    ],
  },
  {
    name: 'sums decay in floats',
    file: `${region}/state/ledger/pair-decay.js`,
    changes: [
      [
        'record[field + DECAY_BUCKET] = this.fit(slot, 0, record[field + DECAY_BUCKET] + this.decay.contribution(weight, timeMs, cell));',
        'record[field + DECAY_BUCKET] = this.fit(slot, 0, Math.fround(record[field + DECAY_BUCKET] + this.decay.contribution(weight, timeMs, cell)));',
      ],
    ],
  },
  {
    name: 'advances rings and decay buckets to the time of a read',
    file: `${region}/state/ledger/signal-ledger.js`,
    changes: [
      [
        'return this.bySignal.get(signal)?.pairs.read(entity, atMs);',
        'if (this.bySignal.get(signal)?.pairs.read(entity, atMs) !== undefined) this.note(entity, signal, Math.floor(atMs));\n        return this.bySignal.get(signal)?.pairs.read(entity, atMs);',
      ],
    ],
  },
  {
    name: 'compares the clocks of two regions in last-writer-wins',
    theme: 'a tail arrives late',
    file: 'shared/protocol/events.js',
    changes: [['if (a.epoch !== b.epoch)\n        return a.epoch - b.epoch;\n    if (a.hlc', 'if (a.hlc']],
  },
  {
    name: 'the last duplicate of a keyed write counts, not the lowest',
    theme: 'a tail arrives late',
    file: `${region}/state/keys/keys.js`,
    changes: [['.map(lowest)', '.map((request) => request.at(-1))']],
  },
  {
    name: 'does not look up the idempotency records of a key',
    file: `${region}/intake/keyed-writes.js`,
    changes: [['const met = recall(copies, asked, atMs);', 'const met = undefined;']],
  },
  {
    name: 'idempotency records stay cached after an append',
    file: `${region}/wal/log.js`,
    changes: [['this.keyTable.changed();', '']],
  },
  {
    name: 'a row of idempotency records keeps only the newest',
    theme: 'a tail arrives late',
    file: `${region}/wal/key-table.js`,
    changes: [['present === undefined ? row : Buffer.concat([present, row])', 'row']],
  },
  {
    name: 'resumes the old leader by a timer, without compare-and-set',
    theme: 'a handover stalls',
    file: `${region}/leadership/leadership-role.js`,
    changes: [
      [
        'const result = await control.update(record, this.revision);',
        'this.resumed = known.handover.id;\n            this.known = record;\n            const result = control;',
      ],
      [
        'clock.monotonicMs() - this.stoppedSinceMs < HANDOVER_RESUMED_MS',
        'clock.monotonicMs() - this.stoppedSinceMs < HANDOVER_RESUMED_MS / 5',
      ],
      [
        'const fromKey = from !== undefined;',
        'const fromKey = from !== undefined;\n        if (this.resumed !== undefined && record.handover?.id === this.resumed) return;',
      ],
    ],
  },
  {
    name: 'merges patches of one group with the item as it was before the group',
    file: `${region}/intake/item-patches.js`,
    changes: [["!(kind === 'patch' && this.written.has(entity))", 'true']],
  },
  {
    name: 'hands over without draining accepted writes',
    theme: 'a leader receives SIGTERM',
    file: `${region}/leadership/leadership-role.js`,
    changes: [['formatPosition(await drain())', 'formatPosition(this.options.wal.durable)']],
  },
  {
    name: 'promotes before the old leader stopped and the target caught up',
    theme: 'a leader receives SIGTERM',
    file: `${router}/cluster/promote.js`,
    changes: [['final = await oldLink.handover({ id }, leftMs());', 'final = new Map();']],
  },
  {
    name: 'commits a promotion on the latest revision of the record, not the one it read',
    theme: 'a handover loses its bucket',
    file: `${router}/cluster/promote.js`,
    changes: [
      [
        'await this.commit(next, step.revision);',
        'const latest = await control.read(); await this.commit(next, latest === "missing" ? step.revision : latest.revision);',
      ],
      [
        'const { clock, links, leadership, log } = this.options;\n        const { record } = found;\n        const old',
        'const { clock, links, leadership, log, control } = this.options;\n        const { record } = found;\n        const old',
      ],
    ],
  },
  {
    name: 'counts a publish without an acknowledgement as shipped',
    file: `${region}/ship/shipper.js`,
    changes: [
      [
        "if ('failure' in result) {",
        "if ('failure' in result && result.failure === 'unknown') { mark.shipped = decodeHeader(last).last; mark.acknowledged = mark.shipped; return; }\n            if ('failure' in result) {",
      ],
    ],
  },
  {
    name: 'does not repair from peers',
    file: `${region}/repair/peer-repair.js`,
    changes: [['of this.wanted(urgent)) {', 'of new Map()) {']],
  },
  {
    name: 'a router resends a write after an unknown outcome',
    file: `${router}/forward/writes.js`,
    changes: [['if (wasNotSent(error)) {', 'if (error instanceof Fault) {']],
  },
  {
    name: 'reads do not wait for min_position',
    file: `${region}/http/reads/reading.js`,
    changes: [["if (token === '')", 'if (true)']],
  },
  {
    name: 'a partitioned region still consumes',
    file: `${region}/wiring/replication.js`,
    changes: [
      ['receiver.setEnabled(!partitioned)]', 'undefined]'],
      ['receives: () => partition.receives,', 'receives: () => true,'],
    ],
  },
  {
    name: 'a region that lost its disk serves at once',
    file: `${region}/readiness/readiness.js`,
    changes: [['let ready = !startedEmpty || peers.expected === 0;', 'let ready = true;']],
  },
  {
    name: 'the clock of a new term starts below the log',
    theme: 'a fast clock is corrected',
    file: `${region}/intake/hybrid-clock.js`,
    changes: [[', above + 1)', ')']],
  },
  {
    name: 'a group that was refused by a full disk is written later',
    file: `${region}/intake/group-commit.js`,
    changes: [
      [
        'entry.resolve(refusal);\n            return;',
        'entry.resolve(refusal);\n            this.queue.push(...remaining);\n            return;',
      ],
    ],
  },
  {
    name: 'accepts writes beyond the limit of its queue',
    theme: 'a slow disk',
    file: `${region}/intake/refusals/refusals.js`,
    changes: [['if (waiting + events > queueLimit) {', 'if (false) {']],
  },
  {
    name: 'a router holds writes beyond its limit',
    file: `${router}/forward/writes.js`,
    changes: [['this.waiting >= this.options.heldLimit)', 'false)']],
  },
  {
    name: 'a checkpoint claims the position at which its run ended',
    file: `${region}/checkpoint/checkpointer.js`,
    changes: [
      [
        "await wal.storeMark('checkpoint', checkpointMark(checkpointPosition));",
        "checkpointPosition.position = new Map(applied());\n        await wal.storeMark('checkpoint', checkpointMark(checkpointPosition));",
      ],
    ],
  },
  {
    name: 'a start replays events that the checkpoint contains',
    file: `${region}/recover/replay.js`,
    changes: [['if (sequence <= covered[shard])', 'if (false)']],
  },
  {
    name: 'idempotency records run ahead of the replay',
    theme: 'a tail arrives late',
    file: `${region}/recover/replay.js`,
    changes: [['return this.done.has(origin) || sequence <= sequenceOf(shards[shard], origin);', 'return true;']],
  },
  {
    name: 'a snapshot replaces the store instead of being merged',
    file: `${region}/region-host.js`,
    changes: [['return await mergeInto(mine, copy);', 'return 0;']],
  },
  {
    name: 'trims batches that a lagging region may still need',
    file: `${region}/checkpoint/trimmer.js`,
    changes: [['wal.batchBytes > retentionBytes', 'wal.batchBytes > 0']],
  },
  {
    name: 'trims batches that no other region has',
    file: `${region}/checkpoint/trimmer.js`,
    changes: [
      [
        'peers.expected === 0 ? Number.MAX_SAFE_INTEGER : heldElsewhere(peers, origin)',
        'Number.MAX_SAFE_INTEGER, heldElsewhere(peers, origin) + Number.MAX_SAFE_INTEGER',
      ],
    ],
  },
  {
    name: 'a router replaces a leader that it alone cannot reach',
    theme: 'an isolated router',
    file: `${router}/failover/liveness.js`,
    changes: [[' || revision !== before.revision', '']],
  },
  {
    name: 'a leader that is partitioned by a drill counts as unresponsive',
    theme: 'a partitioned leader dies',
    file: `${router}/failover/liveness.js`,
    changes: [[' || partitioned || ', ' || ']],
  },
  {
    name: 'a checkpoint drops a shard that was encoded and did not fit on the disk',
    theme: 'a checkpoint on a full disk',
    file: `${region}/checkpoint/checkpointer.js`,
    changes: [[' && !this.unwritten.has(shard)', '']],
  },
  {
    name: 'the time of an event is that of the hybrid clock',
    theme: 'a fast clock is corrected',
    file: `${region}/intake/hybrid-clock.js`,
    changes: [['const aheadMs = hlcMs(hlc) - nowMs;', 'const aheadMs = 0;']],
  },
  {
    // LMDB's own code is not simulated: this is the store in memory, which keeps the rule of `lmdb-store.ts`.
    name: 'a second process on a disk is not detected',
    theme: 'two processes',
    file: 'test/harness/region/store/memory-store.js',
    changes: [['if (this.disk.begun !== this.version)', 'if (false)']],
  },
  {
    name: 'a position of many terms is returned and then refused',
    theme: 'many terms',
    file: `${router}/http/read-routes.js`,
    changes: [['const POSITION_LIMIT = 131_072;', 'const POSITION_LIMIT = 16_384;']],
  },
  {
    name: 'an invalid weight is accepted from the stream',
    theme: 'garbage in the stream',
    file: 'services/region/batch/batch.js',
    changes: [['if (!isThousandths(weight))\n        throw', 'if (false)\n        throw']],
  },
  {
    name: 'a batch that does not chain to its predecessor is appended',
    theme: 'an impossible clock or epoch',
    file: `${region}/receive/ingest.js`,
    changes: [['if (Buffer.compare(chain, batch.chain) !== 0)', 'if (false)']],
  },
  {
    name: 'the status of another region is attributed to a peer',
    theme: 'a wrong address',
    file: 'shared/region-client/reported-status.js',
    changes: [['const status = ofRegion(region, answer)', 'const status = answer']],
  },
  {
    name: 'a compare-and-set succeeds on a revision of another bucket',
    theme: 'a handover loses its bucket',
    file: 'shared/stream/jetstream-control.js',
    changes: [
      ["const digest = createHash('sha256')", "return String(sequence);\n    const digest = createHash('sha256')"],
    ],
  },
  {
    name: 'an epoch is given again that an unresponsive region may know',
    theme: 'an epoch is on one disk',
    file: 'shared/leadership/epochs.js',
    changes: [['if (unresponsive || (epoch >=', 'if ((epoch >=']],
  },
  {
    name: 'a leader whose disk is full does not act on a record that it cannot store',
    theme: 'a leader has a full disk',
    file: `${region}/leadership/leadership-role.js`,
    changes: [
      [
        'await this.remember(record);',
        'await this.remember(record);\n        if (!isSame(this.stored, record))\n            return;',
      ],
    ],
  },
  {
    name: 'a leader accepts in an epoch that its disk does not remember',
    theme: 'a leader has a full disk',
    file: `${region}/leadership/leadership-role.js`,
    changes: [['if (this.stored?.leader !== region || this.stored.epoch !== known.epoch) {', 'if (false) {']],
  },
  {
    name: 'a resumed leader accepts before it reads the record',
    theme: 'a leader is paused',
    file: `${region}/leadership/leadership-role.js`,
    changes: [['this.confirmed = false;\n        if (this.leads)', 'if (this.leads)']],
  },
  {
    name: 'idempotency records are removed while a disk that may hold duplicates is absent',
    theme: 'an old disk returns',
    file: `${region}/checkpoint/disk-account.js`,
    changes: [
      ['[{ id: disk, region, knownMs: 0, retired: false }', '[{ id: disk, region, knownMs: 9e15, retired: false }'],
      ['({ ...each, knownMs: 0 })', '({ ...each, knownMs: 9e15 })'],
    ],
  },
  {
    name: 'a signal that may be a duplicate of a removed record is accepted',
    theme: 'an old disk returns',
    file: `${region}/receive/ingest.js`,
    changes: [['const copy = mayBeForgotten(batch, keysForgottenMs);', 'const copy = undefined;']],
  },
  {
    name: 'a foreign message at the end of a subject counts as shipped',
    theme: 'garbage in the stream',
    file: `${region}/ship/shipper.js`,
    changes: [
      ['return own !== undefined && Buffer.compare(own, last) === 0 ? header.last : undefined;', 'return header.last;'],
    ],
  },
  {
    name: 'a clock is not compared with those of other processes',
    theme: 'a wrong clock takes over',
    file: `${region}/clocks/clocks.js`,
    changes: [['if ((known - far.length) * 2 > known)', 'if (true)']],
  },
  {
    name: 'an implausible epoch is adopted',
    theme: 'garbage in the keys',
    file: 'shared/leadership/epochs.js',
    changes: [['if (epoch <= limit)', 'if (true)']],
  },
  {
    name: 'a leader outside the topology is adopted',
    theme: 'garbage in the keys',
    file: 'shared/leadership/leadership.js',
    changes: [['if (!isOneOf(regions, leader))', 'if (!isName(leader))']],
  },
  {
    name: 'a value of the control bucket is accepted whatever its MAC',
    theme: 'garbage in the keys',
    file: 'shared/stream/jetstream-control.js',
    changes: [['value: flaw === undefined ? value', 'value: true ? value']],
  },
  {
    name: 'a malformed leadership key is not rewritten',
    theme: 'garbage in the keys',
    file: `${router}/cluster/leadership.js`,
    changes: [['if (!this.repairs.due)', 'if (record === undefined || !this.repairs.due)']],
  },
  {
    name: 'a message is accepted whatever its MAC',
    theme: 'garbage in the stream',
    file: `${region}/receive/stream-receiver.js`,
    changes: [['if (headers.some(({ last }) => last > durable)) {', 'if (headers.length < 0) {']],
  },
  {
    name: 'a damaged message ends the subscription',
    theme: 'garbage in the stream',
    file: `${region}/receive/stream-receiver.js`,
    changes: [
      ['(error instanceof UnknownFormat || error instanceof DamagedBatch)', '(error instanceof UnknownFormat)'],
    ],
  },
  {
    name: 'the snapshot of another region is attributed to a peer',
    theme: 'a wrong address',
    file: 'shared/region-client/read-answers.js',
    changes: [['const info = ofRegion(region, answer)', 'const info = answer']],
  },
  {
    name: 'a leader that receives SIGTERM exits before another region leads',
    theme: 'a leader receives SIGTERM',
    file: `${region}/leadership/step-down.js`,
    changes: [['if (!role.leads || limitMs === 0 || together.aborted)', 'if (true)']],
  },
  {
    name: 'a leader that receives SIGTERM exits before its successor has caught up',
    theme: 'a leader receives SIGTERM',
    file: `${region}/leadership/step-down.js`,
    changes: [
      [
        'if (role.leadership?.handover !== undefined)\n            return undefined;',
        "if (role.leadership?.handover !== undefined)\n            return 'a handover has begun';",
      ],
    ],
  },
  {
    name: 'no router replaces a leader that receives SIGTERM',
    theme: 'a leader receives SIGTERM',
    file: `${router}/failover/succession.js`,
    changes: [['if (status.draining !== true || ', 'if (true || ']],
  },
  {
    name: 'a retraction counts once for each of its events',
    file: `${region}/state/keys/keys.js`,
    changes: [
      ['const counted = counting(others);', 'const counted = counting(others.filter((one) => !one.isRetraction));'],
    ],
  },
  {
    name: 'a retraction takes back whatever was ever given under its key',
    theme: 'an old disk returns',
    file: `${region}/state/keys/keys.js`,
    changes: [['copy.acceptedMs > acceptedMs - KEY_KEPT_MS && ', '']],
  },
  {
    name: 'a signal that arrives after its retraction counts',
    theme: 'a tail arrives late',
    file: `${region}/state/keys/keys.js`,
    changes: [
      [
        'const counts = counting([...others, copy]);',
        "const counts = counting([...others.filter((one) => event.kind !== 'signal' || !one.isRetraction), copy]);",
      ],
    ],
  },
];

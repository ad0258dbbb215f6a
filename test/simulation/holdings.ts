/** Who has what, and who ever had it: of every origin, on the disk of each region and in the stream. */

import { type BatchHeader, decodeHeader, splitMessage } from '../../services/region/batch/batch.ts';
import type { StreamOffset } from '../../services/region/wal/wal.ts';
import type { Position } from '../../shared/protocol/position.ts';
import type { StreamMessage } from '../../shared/stream/stream.ts';
import type { MemoryBroker } from '../harness/stream/memory-stream.ts';
import { BROKER } from './network.ts';
import type { RegionMachine } from './region-machine.ts';
import { Violation } from './violation.ts';

export class Holdings {
  /** The stream has lost its end at some time: its sequences are ambiguous. */
  renumbered = false;
  private readonly broker: MemoryBroker;
  private readonly regions: () => readonly RegionMachine[];
  private readonly contents = new WeakMap<StreamMessage, readonly BatchHeader[]>();
  /** By region or broker and by origin: the highest sequence that was ever there. */
  private readonly ever = new Map<string, Map<string, number>>();

  constructor(broker: MemoryBroker, regions: () => readonly RegionMachine[]) {
    this.broker = broker;
    this.regions = regions;
  }

  /** A message without batches. */
  isGarbage(message: StreamMessage): void {
    this.contents.set(message, []);
  }

  note(where: string, origin: string, last: number): void {
    const here = this.ever.get(where) ?? new Map<string, number>();
    this.ever.set(where, here);
    here.set(origin, Math.max(last, here.get(origin) ?? 0));
  }

  /** The stream took a message. */
  stored(message: StreamMessage): void {
    for (const { origin, last } of this.contentOf(message)) this.note(BROKER, origin, last);
  }

  everHeld(where: string, origin: string): number {
    return this.ever.get(where)?.get(origin) ?? 0;
  }

  /** `durability: stream` was answered: the stream took it, or another region has it on its disk as well. */
  checkInStream(position: Position): void {
    for (const [origin, sequence] of position) {
      const places = [...this.ever].filter(([, held]) => (held.get(origin) ?? 0) >= sequence).map(([place]) => place);
      if (places.length >= 2) continue;
      throw new Violation(
        'durability is true',
        `${origin}:${sequence} was answered as in the stream, and was only in ${places}`,
      );
    }
  }

  /** The batches of a message. */
  private contentOf(message: StreamMessage): readonly BatchHeader[] {
    let content = this.contents.get(message);
    if (content === undefined) {
      content = splitMessage(message.bytes).map(decodeHeader);
      this.contents.set(message, content);
    }
    return content;
  }

  /**
   * A region stores how far it has read the stream: everything up to there is on its disk. A stream that lost its end
   * gives its sequences again, so that what was true of it no longer says anything.
   */
  checkOffset(region: RegionMachine, { created, sequence }: StreamOffset): void {
    const { stream } = this.broker;
    if (stream?.created !== created || this.renumbered || sequence > stream.last) return;
    const { covered } = region;
    const from = covered.created === created ? covered.sequence + 1 : stream.first;
    for (let at = Math.max(from, stream.first); at <= sequence; at++) {
      const message = stream.messages.get(at);
      if (message === undefined) continue;
      for (const { origin, last } of this.contentOf(message)) {
        if (last <= (region.onDisk.get(origin) ?? 0)) continue;
        const what = `${region.name} has stored the offset ${sequence} and lacks ${origin}:${last}, which is at ${at}`;
        throw new Violation('the offset is behind the position', what);
      }
    }
    covered.created = created;
    covered.sequence = sequence;
  }

  /** What all disks and the stream have together: of every origin as much as has no hole before it. */
  held(): Position {
    const held = new Map<string, number>();
    for (const { onDisk } of this.regions()) {
      for (const [origin, last] of onDisk) held.set(origin, Math.max(last, held.get(origin) ?? 0));
    }
    const inStream = [...(this.broker.stream?.messages.values() ?? [])].flatMap((message) => this.contentOf(message));
    for (const { origin, first, last } of inStream.sort((a, b) => a.first - b.first)) {
      const before = held.get(origin) ?? 0;
      if (first <= before + 1 && last > before) held.set(origin, last);
    }
    return held;
  }
}

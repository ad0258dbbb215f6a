/** The control key in memory, with the failures that matter: away, request lost, acknowledgement lost. */
import { Fault } from '../../../shared/errors/errors.ts';
import type { Control, ControlEntry, Revision } from '../../../shared/stream/stream.ts';

/** Of all keys of all tests in this process: no two writes have the same revision. */
let writes = 0;

/** All keys of a bucket; they are away together. */
export class MemoryKeys {
  private readonly byName = new Map<string, MemoryControl>();

  /** `leadership` is the key the test holds already. */
  constructor(leadership: MemoryControl) {
    this.byName.set('leadership', leadership);
  }

  readonly key = (name: string): MemoryControl => {
    const present = this.byName.get(name) ?? new MemoryControl();
    this.byName.set(name, present);
    return present;
  };

  set away(away: boolean) {
    for (const key of this.byName.values()) key.away = away;
  }
}

export class MemoryControl implements Control {
  entry: ControlEntry | undefined;
  away = false;
  /** The next changes: `lost` before they are made, or made with their acknowledgement lost. */
  failures: ('lost' | 'acknowledgement_lost')[] = [];
  changes = 0;

  put(value: unknown): void {
    writes++;
    this.entry = { revision: `write ${writes}` as Revision, value };
  }

  async read(): Promise<ControlEntry | 'missing'> {
    this.answer();
    return this.entry ?? 'missing';
  }

  async create(value: unknown): Promise<{ revision: Revision } | 'conflict'> {
    this.answer();
    if (this.entry !== undefined) return 'conflict';
    return this.change(value);
  }

  async update(value: unknown, revision: Revision): Promise<{ revision: Revision } | 'conflict'> {
    this.answer();
    if (this.entry?.revision !== revision) return 'conflict';
    return this.change(value);
  }

  private change(value: unknown): { revision: Revision } {
    const failure = this.failures.shift();
    if (failure !== 'lost') {
      this.put(value);
      this.changes += 1;
    }
    if (failure !== undefined) throw new Fault('control_unavailable', 'no answer');
    return { revision: (this.entry as ControlEntry).revision };
  }

  private answer(): void {
    if (this.away) throw new Fault('control_unavailable', 'not connected');
  }
}

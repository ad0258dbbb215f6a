/** Counts the rows that are read and written between two turns of a clock. */
import type { Store } from '../../../../services/region/store/store.ts';
import type { Clock } from '../../../../shared/kernel/kernel.ts';
import { ManualClock } from '../../kernel/manual-clock.ts';

export interface CountedTurns {
  /** The same store, counted. */
  readonly counted: Store;
  /** Sets a timer on the manual clock; a turn ends there. */
  readonly clock: Clock;
  readonly manual: ManualClock;
  /** Rows read in each turn that has ended. */
  readonly turns: number[];
  /** Rows of each transaction. */
  readonly transactions: number[];
}

export function countedTurns(store: Store): CountedTurns {
  const manual = new ManualClock();
  const turns: number[] = [];
  const transactions: number[] = [];
  let rows = 0;
  const clock: Clock = {
    nowMs: () => manual.nowMs(),
    monotonicMs: () => manual.monotonicMs(),
    after(delayMs, action) {
      turns.push(rows);
      rows = 0;
      return manual.after(delayMs, action);
    },
  };
  const counted: Store = Object.create(store, {
    range: {
      *value(...args: Parameters<Store['range']>) {
        for (const row of store.range(...args)) {
          rows++;
          yield row;
        }
      },
    },
    commit: {
      value: (work: Parameters<Store['commit']>[0]) =>
        store.commit((transaction) => {
          let puts = 0;
          work({
            get: (table, key) => transaction.get(table, key),
            remove: (table, key) => transaction.remove(table, key),
            put(table, key, value) {
              puts++;
              transaction.put(table, key, value);
            },
          });
          transactions.push(puts);
        }),
    },
  });
  return { counted, clock, manual, turns, transactions };
}

/** What the simulation is built of, where a mistake would make it blind: its order of events, its shrinking, its mutants. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Chance } from '../../simulation/chance.ts';
import type { FaultEvent } from '../../simulation/faults.ts';
import { planFaults } from '../../simulation/faults.ts';
import { Life } from '../../simulation/life.ts';
import { mutants } from '../../simulation/mutants.ts';
import { Scheduler } from '../../simulation/scheduler.ts';
import { shrink } from '../../simulation/shrink.ts';
import { themeNames } from '../../simulation/themes.ts';

const dist = fileURLToPath(new URL('../../../', import.meta.url));

describe('simulation: scheduler', () => {
  it('runs in the order of time, settles between two actions, and leaves out what was cancelled', async () => {
    const scheduler = new Scheduler(new Chance('order'));
    const seen: string[] = [];
    scheduler.after(20, () => seen.push('second'));
    scheduler.after(10, () => {
      seen.push('first');
      void Promise.resolve()
        .then(() => {})
        .then(() => seen.push('what the first set in motion'));
    });
    scheduler.after(15, () => seen.push('never')).cancel();
    assert.equal(await scheduler.run(100), false);
    assert.deepEqual(seen, ['first', 'what the first set in motion', 'second']);
    assert.equal(scheduler.nowMs, 100);
  });

  it('what is due at the same time runs in an order that the seed decides', async () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const scheduler = new Scheduler(new Chance(seed));
      const seen: number[] = [];
      for (let n = 0; n < 4; n++) scheduler.at(5, () => seen.push(n));
      await scheduler.run(5);
      orders.add(seen.join());
    }
    assert.ok(orders.size > 5, [...orders].join(' '));
  });
});

describe('simulation: life of a process', () => {
  function born() {
    const scheduler = new Scheduler(new Chance('life'));
    const done: string[] = [];
    const chance = new Chance('process');
    const none = (): void => {};
    const life = new Life({ name: 'p', scheduler, chance, wallMs: () => 0, onUncaught: none, onEnd: none });
    const act = (what: string): Promise<void> => life.ask(async () => void done.push(what));
    return { scheduler, life, done, act };
  }

  it('dies before or after a chosen effect, and nothing of it happens any more', async () => {
    for (const after of [false, true]) {
      const { scheduler, life, done, act } = born();
      life.clock.after(1, () => done.push('a timer'));
      life.dieAt({ effect: 2, after });
      const course = act('one').then(() => act('two').then(() => act('three')));
      course.then(() => done.push('and on'));
      await scheduler.run(10);
      assert.equal(life.alive, false);
      assert.deepEqual(done, after ? ['one', 'two'] : ['one']);
    }
  });

  it('frozen, it does nothing; thawed, it continues with what was received meanwhile', async () => {
    const { scheduler, life, done, act } = born();
    life.clock.after(1, () => done.push('a timer'));
    void act('asked').then(() => done.push('answered'));
    life.freeze();
    await scheduler.run(10);
    assert.deepEqual(done, ['asked']);
    life.thaw();
    await scheduler.run(20);
    assert.deepEqual(done.sort(), ['a timer', 'answered', 'asked']);
  });

  it('stalls before a chosen effect: earlier decisions take effect afterwards, in the same order', async () => {
    const { scheduler, life, done, act } = born();
    life.clock.after(1, () => done.push('a timer'));
    life.stallAt(2, 50);
    const step = async (): Promise<void> => {
      void act('two');
      void act('three');
    };
    void act('one').then(step);
    await scheduler.run(40);
    assert.deepEqual(done, ['one']);
    await scheduler.run(60);
    assert.deepEqual(done, ['one', 'two', 'three', 'a timer']);
  });
});

describe('simulation: plan and shrinking', () => {
  it('a seed has one plan', () => {
    const plan = (seed: string): FaultEvent[] => planFaults(new Chance(seed), 10_000);
    assert.deepEqual(plan('5'), plan('5'));
    assert.notDeepEqual(plan('5'), plan('6'));
  });

  it('shrinks to the faults it takes', async () => {
    const faults = Array.from(
      { length: 20 },
      (_, index): FaultEvent => ({ atMs: index, kind: 'verify', by: 'router-1' }),
    );
    const needed = [faults[3]!, faults[17]!];
    const left = await shrink(faults, async (some) => needed.every((fault) => some.includes(fault)));
    assert.deepEqual(left, needed);
  });
});

describe('simulation: mutants', () => {
  it('are those of the table in docs/simulation.md, in its order', () => {
    const text = readFileSync(join(dist, '..', 'docs', 'simulation.md'), 'utf8');
    const [, table] = text.split('| mutant | theme | seeds | found by |\n|---|---|---|---|\n');
    const rows = table!.split('\n').filter((line) => line.startsWith('|'));
    const names = rows.map((row) => row.split(' | ')[0]!.slice(2));
    assert.deepEqual(
      names,
      mutants.map(({ name }) => name),
    );
    for (const row of rows) assert.match(row, /^\| .* \| .* \| \d+ \| .+ \|$/, 'each was found');
    assert.deepEqual(
      rows.map((row) => row.split('|')[2]!.trim()),
      mutants.map(({ theme }) => theme ?? ''),
    );
    for (const { theme } of mutants) assert.ok(theme === undefined || themeNames.includes(theme), theme);
  });

  for (const { name, file, changes } of mutants) {
    it(`applies exactly once: ${name}`, () => {
      const text = readFileSync(join(dist, file), 'utf8');
      assert.ok(changes.length > 0);
      for (const [find] of changes) assert.equal(text.split(find).length - 1, 1, find);
    });
  }
});

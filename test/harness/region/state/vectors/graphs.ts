/**
 * The graphs of vector search, for the tests that need one: hnswlib-node is compiled when it is installed, and a machine
 * without a compiler does without. These tests are skipped aloud there; with `CI` set they fail instead.
 */
import { graphsMissing } from '../../../../../services/region/state/vectors/vector-graph.ts';

/** First line of a test, or of a suite's `before` hook. */
export function needGraphs(context: Mocha.Context): void {
  if (graphsMissing === undefined) return;
  const why = `no graphs: hnswlib-node is not installed here (${graphsMissing})`;
  if (process.env.CI !== undefined) throw new Error(why);
  console.log(`      SKIPPED: ${why}`);
  context.skip();
}

/** A test that is about graphs. */
export function itWithGraphs(title: string, body: (this: Mocha.Context) => unknown): Mocha.Test {
  return it(title, async function () {
    needGraphs(this);
    await body.call(this);
  });
}

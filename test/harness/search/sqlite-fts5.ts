/** SQLite's full-text search, from Python: an independent BM25. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Answers one JSON line to each line of its input: documents to add, or a list of queries. The tokenizer is an
 * argument: `ascii` leaves words of ASCII letters and digits as they are.
 */
const program = `
import json, sqlite3, sys, time
db = sqlite3.connect(':memory:')
db.execute("CREATE VIRTUAL TABLE documents USING fts5(text, content='', tokenize='%s')" % sys.argv[1])
for line in sys.stdin:
    asked = json.loads(line)
    started = time.perf_counter()
    if 'add' in asked:
        db.executemany('INSERT INTO documents(rowid, text) VALUES (?, ?)', asked['add'])
        db.commit()
        answers = []
    elif 'limit' in asked:
        sql = 'SELECT rowid, rank FROM documents WHERE documents MATCH ? ORDER BY rank LIMIT ?'
        answers = [db.execute(sql, (query, asked['limit'])).fetchall() for query in asked['queries']]
    else:
        sql = 'SELECT rowid, rank FROM documents WHERE documents MATCH ? ORDER BY rank, rowid'
        answers = [db.execute(sql, (query,)).fetchall() for query in asked['queries']]
    print(json.dumps({'ms': 1000 * (time.perf_counter() - started), 'answers': answers}), flush=True)
`;

export interface Fts5 {
  readonly version: string;
  /** Rows of a positive integer and a text of space-separated words of ASCII letters and digits; answers the ms it took. */
  add(rows: readonly (readonly [id: number, text: string])[]): Promise<number>;
  /** FTS5 queries; of each the best `limit` hits, or all, as [id, −bm25]. `ms`: of all of them, measured beside SQLite. */
  search(
    queries: readonly string[],
    limit?: number,
  ): Promise<{ readonly ms: number; readonly answers: readonly (readonly [id: number, rank: number])[][] }>;
  close(): Promise<void>;
}

/** Why it cannot be used here; undefined: it can. */
export function withoutFts5(): string | undefined {
  const check = "import sqlite3; sqlite3.connect(':memory:').execute('CREATE VIRTUAL TABLE t USING fts5(x)')";
  const { status, error, stderr } = spawnSync('python3', ['-c', check], { encoding: 'utf8' });
  if (status === 0) return undefined;
  return `python3 with SQLite's FTS5 is needed: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
}

export function openFts5(tokenizer: 'ascii' | 'trigram' = 'ascii'): Fts5 {
  const child = spawn('python3', ['-c', program, tokenizer], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ask = async (asked: unknown) => {
    child.stdin.write(`${JSON.stringify(asked)}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error('python3 has ended');
    return JSON.parse(value) as { ms: number; answers: [number, number][][] };
  };
  const { stdout } = spawnSync('python3', ['-c', 'import sqlite3; print(sqlite3.sqlite_version)'], {
    encoding: 'utf8',
  });
  return {
    version: stdout.trim(),
    add: async (rows) => (await ask({ add: rows })).ms,
    search: (queries, limit) => ask({ queries, limit }),
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}

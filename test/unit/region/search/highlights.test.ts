/** Highlights as a whole region answers them over HTTP, and what a snippet shows. */
import assert from 'node:assert/strict';
import { type Highlights, highlightsOf } from '../../../../services/region/http/reads/highlights/highlights.ts';
import type { Problem } from '../../../../shared/errors/errors.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
text: { fields: { title: {}, description: {}, tags: {} } }
embedding: { dimensions: 2 }
`;

interface Page {
  readonly items: readonly { readonly entity_id: number; readonly highlights?: Highlights }[];
}

describe('highlights', () => {
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    await region.put(1, {
      title: 'Jazz & <b>Pianos</b>',
      description: `${'lorem ipsum '.repeat(40)}a night of "jazz" <script>alert(1)</script> ${'dolor sit '.repeat(40)}`,
      tags: ['jazz', 'music', '<mark>piano'],
      other: 'jazz',
    });
    await region.put(2, { title: 'Run <mark>jazz</mark>', description: 'Running up that hill' });
    await region.embed(1, [1, 0]);
    await region.embed(2, [0, 1]);
  });
  after(() => region?.stop());

  async function highlights(query: string, more = ''): Promise<Record<number, Highlights | undefined>> {
    const { status, body } = await region.get<Page>(`/search?query=${encodeURIComponent(query)}${more}`);
    assert.equal(status, 200, JSON.stringify(body));
    return Object.fromEntries(body.items.map(({ entity_id, highlights: own }) => [entity_id, own]));
  }

  it('mark the words of the query, in every form that is found, and escape everything else', async () => {
    const found = await highlights('jazz piano', '&highlight=title,tags');
    assert.deepEqual(found[1], {
      title: '<mark>Jazz</mark> &amp; &lt;b&gt;<mark>Pianos</mark>&lt;/b&gt;',
      tags: ['<mark>jazz</mark>', '&lt;mark&gt;<mark>piano</mark>'],
    });
    assert.deepEqual(found[2], { title: 'Run &lt;mark&gt;<mark>jazz</mark>&lt;/mark&gt;' });
    assert.deepEqual(await highlights('runs', '&highlight=title,description'), {
      2: {
        title: '<mark>Run</mark> &lt;mark&gt;jazz&lt;/mark&gt;',
        description: '<mark>Running</mark> up that hill',
      },
    });
    assert.deepEqual((await highlights('title:jazz', '&highlight=tags'))[1], {});
    assert.deepEqual((await highlights('jazz', ''))[1], undefined);
  });

  it('show the part of a long text that has the words', async () => {
    const found = await highlights('jazz', '&highlight=description&snippet_length=60');
    const description = found[1]?.description as string;
    assert.match(description, /^….*a night of &quot;<mark>jazz<\/mark>&quot; &lt;script&gt;.*…$/);
    const shown = description.replace(/<\/?mark>|…/g, '').replace(/&\w+;/g, '.');
    assert.ok(shown.length <= 60 && shown.length > 30, `${shown.length} characters`);
  });

  it('are those of the words beside a vector, none without words', async () => {
    const { body } = await region.post<Page>('/search', { query: 'jazz', vector: [1, 0], highlight: ['tags'] });
    assert.deepEqual(body.items.find(({ entity_id }) => entity_id === 1)?.highlights, { tags: ['<mark>jazz</mark>'] });
    const byVector = await region.post<Page>('/search', { vector: [1, 0], highlight: 'title' });
    assert.deepEqual(
      byVector.body.items.map(({ highlights: own }) => own),
      [{}, {}],
    );
  });

  it('are refused for fields that are not searched', async () => {
    const { status, body } = await region.get<Problem>('/search?query=jazz&highlight=title,other');
    assert.equal(status, 400);
    assert.match(JSON.stringify(body), /has other, which is no text field.*title, description, tags/);
    assert.equal((await region.get('/search?query=jazz&highlight=title&snippet_length=19')).status, 400);
  });

  it('never split a character, and are never longer than asked for', () => {
    const text = `${'🎷'.repeat(60)} jazz ${'🎷'.repeat(60)}`;
    for (let snippetLength = 20; snippetLength < 60; snippetLength++) {
      const at = text.indexOf('jazz');
      const { x } = highlightsOf(
        { x: text },
        { fields: ['x'], snippetLength, marks: () => [{ start: at, end: at + 4 }] },
      );
      assert.equal(Buffer.from(x as string, 'utf8').toString('utf8'), x);
      assert.match(x as string, /<mark>jazz<\/mark>/);
      assert.ok((x as string).length <= snippetLength + 1 + '<mark></mark>……'.length);
    }
  });
});

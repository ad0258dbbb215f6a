/** `GET /suggest`: completions of a prefix. */
import type Router from '@koa/router';
import { suggestParameters } from '../../../../shared/protocol/read-parameters.ts';
import { checkParameters, invalid } from '../../query/query.ts';
import type { TextIndex } from '../../state/text/text.ts';
import type { Reading } from './reading.ts';

const PREFIX_LIMIT = 100;
const LIMIT_DEFAULT = 10;
const LIMIT_MOST = 50;

export interface SuggestParts {
  readonly text: Pick<TextIndex, 'suggest'>;
  /** The time reads are answered for, epoch ms. */
  readonly nowMs: () => number;
}

export function addSuggestRoute(router: Router, { text, nowMs }: SuggestParts, reading: Reading): void {
  router.get('/suggest', async (ctx) => {
    await reading.admit(ctx);
    const search = new URLSearchParams(ctx.querystring);
    checkParameters(search, { route: '/suggest', names: suggestParameters });
    const prefix = search.get('prefix') ?? '';
    if (prefix.trim() === '') throw invalid('prefix', 'is required', 'prefix=ja');
    if (prefix.length > PREFIX_LIMIT) throw invalid('prefix', `is longer than ${PREFIX_LIMIT} characters`);
    const asked = search.get('limit') ?? String(LIMIT_DEFAULT);
    const limit = /^\d{1,2}$/.test(asked) ? Number(asked) : 0;
    if (limit < 1 || limit > LIMIT_MOST) throw invalid('limit', `must be an integer from 1 to ${LIMIT_MOST}`);
    reading.requireIndexes();
    ctx.body = await reading.ofIndexes(ctx, 'suggest').run((slices) => {
      const suggestions = text.suggest(prefix, limit, slices.run);
      const { region, position } = reading.context(nowMs(), slices.position);
      return {
        ...{ region, position, prefix },
        suggestions: suggestions.map(({ completion, documents }) => ({ text: completion, documents })),
      };
    });
  });
}

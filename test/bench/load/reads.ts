/** Reads of the realistic world, each as the requests that clients ask in turn: another seed, word or category each time. */
import { requestJson } from '../../harness/clients/request-json.ts';
import { embeddingValues } from '../world/embeddings.ts';
import { CATEGORIES, commonWords } from '../world/traffic.ts';
import { BOUNDLESS, SEED } from '../world/world.ts';

export interface ReadRequest {
  readonly path: string;
  /** Of a POST. */
  readonly body?: string;
}

export interface Read {
  readonly what: string;
  /** Asked when the read is about to be measured: a cursor is of a page that was answered then. */
  requests(url: string): Promise<readonly ReadRequest[]> | readonly ReadRequest[];
}

const PAGE = 200;
const DEEP_PAGES = 50;
const VARIANTS = 64;

export const builtInProfiles = [
  ...['trending', 'hot', 'new', 'top', 'rising', 'best', 'controversial', 'debated', 'hidden_gems', 'most_viewed'],
  ...['most_liked', 'shuffle', 'related'],
] as const;

export function feed(profile: (typeof builtInProfiles)[number]): Read {
  const more = (index: number): string => {
    if (profile === 'shuffle') return `&seed=${index}`;
    return profile === 'related' ? `&entity_id=${1 + index}` : '';
  };
  return { what: profile, requests: () => variants((index) => `/feed?profile=${profile}&limit=10${more(index)}`) };
}

export const boundlessFeed: Read = {
  what: 'a profile of the schema that nothing bounds',
  requests: () => [{ path: `/feed?profile=${BOUNDLESS}&limit=10` }],
};

export const filteredFeed: Read = {
  what: 'trending, one item of each author, with a filter',
  requests: () =>
    variants(
      (index) =>
        `/feed?profile=trending&limit=100&filter=category%3A${CATEGORIES[index % CATEGORIES.length]}&max_per=author%3A1`,
    ),
};

/** All items that pass have one category: as many are passed over as a page looks at. */
export const crowdedFeed: Read = {
  what: 'trending, one item of each category, with a filter on it',
  requests: () =>
    variants(
      (index) =>
        `/feed?profile=trending&limit=100&filter=category%3A${CATEGORIES[index % CATEGORIES.length]}&max_per=category%3A1`,
    ),
};

export const deepPage: Read = {
  what: `trending, page ${DEEP_PAGES} of ${PAGE}`,
  async requests(url) {
    const path = `/feed?profile=trending&limit=${PAGE}`;
    let cursor = '';
    for (let page = 1; page < DEEP_PAGES; page++) {
      const { status, body } = await requestJson<{ next_cursor: string | null }>(`${url}${path}${cursor}`);
      if (status !== 200 || body.next_cursor === null) throw new Error(`page ${page}: ${JSON.stringify(body)}`);
      cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
    }
    return [{ path: path + cursor }];
  },
};

export const twoWords: Read = {
  what: 'search for two words',
  requests: () => {
    const words = commonWords(2 * VARIANTS);
    return variants((index) => `/search?limit=10&query=${words[index]}%20${words[2 * VARIANTS - 1 - index]}`);
  },
};

/** Eight words with letters of the vocabulary between stars: each is looked for in all of it. */
export const wildcard: Read = {
  what: 'search with eight wildcards',
  requests: () =>
    variants((index) => {
      const words = ['a', 'e', 'i', 'o', 'u', 'b', 'd', 'm'].map((letter) => `*${letter}${'aeiou'[index % 5]}*`);
      return `/search?limit=10&query=${encodeURIComponent(words.join(' '))}`;
    }),
};

export const byVector: Read = {
  what: 'search by vector',
  requests: () => {
    // Those of the first items.
    const values = embeddingValues(SEED);
    return Array.from({ length: VARIANTS }, () => ({
      path: '/search',
      body: JSON.stringify({ vector: [...values.next().value], limit: 10 }),
    }));
  },
};

function variants(path: (index: number) => string): readonly ReadRequest[] {
  return Array.from({ length: VARIANTS }, (_, index) => ({ path: path(index) }));
}

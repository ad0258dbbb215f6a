/** The plots of docs/ranking.md: file name and content. What they show is scored by the code that ranks, not drawn from formulas. */
import type { Schema, Window } from '../../services/region/schema/schema.ts';
import { type Plot, type PlotLine, renderPlot } from './plot.ts';
import { HOUR_MS, STAGE_MS, Stage } from './stage.ts';

/** `schema`: the default one. */
export function rankingPlots(schema: Schema): ReadonlyMap<string, string> {
  const plots: Readonly<Record<string, Plot>> = {
    'decayed.svg': decayed(schema),
    'trending.svg': trending(schema),
    'hot.svg': hot(schema),
    'windows.svg': windows(schema),
    'rising.svg': rising(schema),
    'controversial.svg': controversial(schema),
    'best.svg': best(schema),
    'debated.svg': debated(schema),
    'hidden_gems.svg': hiddenGems(schema),
    'fresh_favourites.svg': freshFavourites(schema),
  };
  return new Map(Object.entries(plots).map(([name, plot]) => [name, renderPlot(plot)]));
}

type Ask = Parameters<Stage['score']>[2];

/** The score of item 1 over the hours after the stage's time. */
function overTime(stage: Stage, label: string, profile: string, hours: readonly number[], ask: Ask = {}): PlotLine {
  const points = hours.flatMap((hour): [number, number][] => {
    const score = stage.score(1, profile, ask, STAGE_MS + Math.round(hour * HOUR_MS));
    return score === undefined ? [] : [[hour, score]];
  });
  return { label, points };
}

function staged(schema: Schema, fill: (stage: Stage) => void): Stage {
  const stage = new Stage(schema);
  stage.put(1);
  fill(stage);
  return stage;
}

function steps(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.round((to - from) / step) + 1 }, (_, index) => from + index * step);
}

function hourTicks(...hours: readonly number[]): readonly (readonly [number, string])[] {
  return hours.map((hour) => [hour, hour >= 48 && hour % 24 === 0 ? `${hour / 24} d` : `${hour} h`]);
}

function decayed(schema: Schema): Plot {
  const profile = (signal: string) =>
    [
      signal,
      {
        name: signal,
        terms: [{ kind: 'signal', signal, measure: { of: 'decayed' }, log: false, weight: 1 }],
        gates: [],
        boosts: [],
      },
    ] as const;
  const names = ['view', 'share', 'like', 'hide'];
  const own: Schema = { ...schema, profiles: new Map(names.map(profile)) };
  const stage = staged(own, (stage) => {
    for (const name of names) stage.signal(1, name, 1);
  });
  const days = (name: string): number => own.signals.get(name)!.halfLifeSeconds / 86_400;
  return {
    title: 'Decayed score of one signal of weight 1',
    xLabel: 'since the signal',
    yLabel: 'decayed',
    xTicks: hourTicks(0, 24, 72, 168, 240, 336),
    lines: names.map((name) => overTime(stage, `${name}, half-life ${days(name)} d`, name, steps(0, 336, 4))),
  };
}

function trending(schema: Schema): Plot {
  const stage = staged(schema, (stage) => {
    for (let hour = 0; hour < 6; hour++) {
      stage.signal(1, 'view', 1_000, hour + 0.5);
      stage.signal(1, 'share', 100, hour + 0.5);
    }
  });
  return {
    title: 'trending: six hours of 1,000 views and 100 shares an hour, then silence',
    xLabel: 'since the last of them',
    yLabel: 'score',
    xTicks: hourTicks(0, 24, 48, 72, 96, 120, 144, 168, 192),
    lines: (['24h', '7d'] as Window[]).map((window) =>
      overTime(stage, `window=${window}`, 'trending', steps(0, 192, 0.5), { window }),
    ),
  };
}

function hot(schema: Schema): Plot {
  return {
    title: 'hot: what an item’s age leaves of its score',
    xLabel: 'age of the item',
    yLabel: 'score',
    xTicks: hourTicks(0, 6, 12, 24, 36, 48, 72),
    lines: [10_000, 1_000, 100, 10].map((balance) => {
      const stage = staged(schema, (stage) => stage.signal(1, 'like', balance));
      return overTime(stage, `pos − neg = ${balance.toLocaleString('en')}`, 'hot', steps(0, 72, 0.5));
    }),
  };
}

function windows(schema: Schema): Plot {
  const stage = staged(schema, (stage) => {
    for (let hour = 0; hour < 6; hour++) stage.signal(1, 'like', 10, hour + 0.5);
  });
  return {
    title: 'top, most_viewed, most_liked: six hours of 10 likes an hour, then silence',
    xLabel: 'since the last of them',
    yLabel: 'score of most_liked',
    xTicks: hourTicks(0, 24, 48, 72, 96, 120, 144, 168, 192),
    lines: (['all', '7d', '24h', '1h'] as Window[]).map((window) =>
      overTime(stage, `window=${window}`, 'most_liked', steps(0, 192, 0.5), { window }),
    ),
  };
}

function rising(schema: Schema): Plot {
  const lines = [0, 10, 100].map((pace): PlotLine => {
    const stage = new Stage(schema);
    stage.put(1);
    // As in production: a region only knows events before the read time.
    let counted = -30;
    const points = steps(-2, 30, 0.25).map((hour) => {
      for (; counted <= hour - 0.25; counted += 0.25) {
        const views = pace + (counted >= 0 && counted < 1 ? 100 : 0);
        stage.signal(1, 'view', views / 4, -counted - 0.125);
      }
      return [hour, stage.score(1, 'rising', {}, STAGE_MS + hour * HOUR_MS)!] as const;
    });
    return { label: `usual: ${pace} an hour`, points };
  });
  return {
    title: 'rising: one hour with 100 views more than usual',
    xLabel: 'since that hour began',
    yLabel: 'score',
    xTicks: hourTicks(-2, 0, 2, 6, 12, 18, 24, 30),
    lines,
  };
}

const shareTicks = [0, 0.25, 0.5, 0.75, 1].map((share) => [share, `${100 * share} %`] as const);

function controversial(schema: Schema): Plot {
  return {
    title: 'controversial: how evenly split, views among the positive',
    xLabel: 'share of likes among likes and hides',
    yLabel: 'score',
    xTicks: shareTicks,
    lines: [0, 1, 3, 10].map((views) => ({
      label: views === 0 ? 'no views' : `${views} view${views === 1 ? '' : 's'} an opinion`,
      points: steps(0, 1, 0.02).map((share) => {
        const stage = staged(schema, (stage) => {
          stage.signal(1, 'like', share);
          stage.signal(1, 'hide', 1 - share);
          stage.signal(1, 'view', views);
        });
        return [share, stage.score(1, 'controversial')!] as const;
      }),
    })),
  };
}

function best(schema: Schema): Plot {
  return {
    title: 'best: at least so many would say yes',
    xLabel: 'share of positive among the opinions',
    yLabel: 'score',
    xTicks: shareTicks,
    lines: [1_000, 100, 20, 5, 2].map((opinions) => ({
      label: `${opinions.toLocaleString('en')} opinions`,
      points: steps(0, 1, 0.02).map((share) => {
        const stage = staged(schema, (stage) => {
          stage.signal(1, 'like', share * opinions);
          stage.signal(1, 'hide', (1 - share) * opinions);
        });
        return [share, stage.score(1, 'best')!] as const;
      }),
    })),
  };
}

function debated(schema: Schema): Plot {
  return {
    title: 'debated: how evenly split, and of how many',
    xLabel: 'share of positive among the opinions',
    yLabel: 'score',
    xTicks: shareTicks,
    lines: [1_000, 100, 20, 5, 2].map((opinions) => ({
      label: `${opinions.toLocaleString('en')} opinions`,
      points: steps(0, 1, 0.02).map((share) => {
        const stage = staged(schema, (stage) => {
          stage.signal(1, 'like', share * opinions);
          stage.signal(1, 'hide', (1 - share) * opinions);
        });
        return [share, stage.score(1, 'debated')!] as const;
      }),
    })),
  };
}

function hiddenGems(schema: Schema): Plot {
  return {
    title: 'hidden_gems: nine of ten opinions are positive',
    xLabel: 'views',
    yLabel: 'score',
    xTicks: [0, 1, 2, 3, 4].map((power) => [power, (10 ** power).toLocaleString('en')]),
    lines: [1_000, 100, 20, 5, 1].map((opinions) => ({
      label: `${opinions.toLocaleString('en')} opinions`,
      points: steps(0, 4, 0.1).map((power) => {
        const stage = staged(schema, (stage) => {
          stage.signal(1, 'view', 10 ** power);
          stage.signal(1, 'like', 0.9 * opinions);
          stage.signal(1, 'skip', 0.1 * opinions);
        });
        return [power, stage.score(1, 'hidden_gems')!] as const;
      }),
    })),
  };
}

function freshFavourites(schema: Schema): Plot {
  return {
    title: 'fresh_favourites, of the default schema: seen and liked once, then silence',
    xLabel: 'age of the item',
    yLabel: 'score',
    xTicks: hourTicks(0, 24, 48, 72, 96, 120, 144, 168, 192),
    lines: [1_000, 100, 10].map((likes) => {
      const stage = staged(schema, (stage) => {
        stage.signal(1, 'view', 5 * likes);
        stage.signal(1, 'like', likes);
      });
      return overTime(stage, `${likes.toLocaleString('en')} likes`, 'fresh_favourites', steps(0, 192, 2));
    }),
  };
}

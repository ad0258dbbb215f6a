/** Real short documents: the 117,659 glosses of WordNet 3.0, from the package `wordnet-base` of Debian and Ubuntu. */
import { existsSync, readFileSync } from 'node:fs';
import { drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';

const FOLDER = '/usr/share/wordnet';

/** Shuffled, always alike. Throws where WordNet is not installed, saying how it is. */
export function readGlosses(): readonly string[] {
  if (!existsSync(`${FOLDER}/data.noun`)) {
    throw new Error(`WordNet is not in ${FOLDER}: apt-get install wordnet-base`);
  }
  const glosses = ['adj', 'adv', 'noun', 'verb'].flatMap((kind) =>
    readFileSync(`${FOLDER}/data.${kind}`, 'utf8')
      .split('\n')
      // The licence at the top is indented.
      .filter((line) => line !== '' && !line.startsWith(' '))
      .map((line) => line.slice(line.indexOf('|') + 1).trim()),
  );
  const random = seededRandom(3);
  for (let i = glosses.length - 1; i > 0; i--) {
    const j = Math.floor(drawFraction(random) * (i + 1));
    [glosses[i], glosses[j]] = [glosses[j]!, glosses[i]!];
  }
  return glosses;
}

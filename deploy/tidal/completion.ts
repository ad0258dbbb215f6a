/** `tidal completion`: the commands and their options for a shell. */
import { ConfigError } from '../../shared/errors/config-error.ts';
import { say } from '../backup/command.ts';
import type { Command } from './command.ts';

const shells = ['bash', 'zsh'] as const;

/** Of these commands, by their words. */
export function completionOf(commands: () => Readonly<Record<string, Command>>): Command {
  return {
    summary: 'completion of commands and options for a shell',
    help: `tidal completion ${shells.join('|')}

Prints a script for the shell. For bash: source <(npx tidal completion bash)
`,
    run(args) {
      const [shell, ...others] = args;
      if (!(shells as readonly (string | undefined)[]).includes(shell) || others.length > 0) {
        throw new ConfigError(`completion takes one of ${shells.join(', ')}, not "${args.join(' ')}"`);
      }
      const script = scriptOf(commands());
      say(shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script);
    },
  };
}

function scriptOf(commands: Readonly<Record<string, Command>>): string {
  const firstWords = [...new Set(Object.keys(commands).map((name) => name.split(' ')[0]!))];
  const cases = firstWords.map((first) => {
    const own = Object.entries(commands).filter(([name]) => name.split(' ')[0] === first);
    const words = own.flatMap(([name]) => name.split(' ').slice(1, 2));
    const options = own.flatMap(([, { help }]) => help.match(/--[a-z][a-z-]*/g) ?? []);
    return `    *:${first}) words="${[...new Set([...words, ...options, '--help'])].join(' ')}" ;;`;
  });
  return `_tidal() {
  local words
  case "\${COMP_CWORD}:\${COMP_WORDS[1]}" in
    1:*) words="${firstWords.join(' ')}" ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "\${words}" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _tidal tidal`;
}

/**
 * Turns a table of settings into a frozen configuration. Flags win over the environment, the environment over defaults;
 * an empty environment variable counts as absent (compose files pass empty ones). Unknown flags are refused by name.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import convict from 'convict';
import { ConfigError } from '../errors/config-error.ts';
import type { HttpLimits } from '../http/http-server.ts';

export interface Setting {
  readonly env: string;
  /** Without the dashes. Absent for secrets: other users of the machine can read a command line. */
  readonly flag?: string;
  /** A `switch` is a flag without a value; its variable is 1 or 0. */
  readonly kind: 'text' | 'integer' | 'choice' | 'switch';
  /** Undefined: required. */
  readonly fallback?: string | number | boolean;
  /** The default as `--help` shows it, if it is not the value itself. */
  readonly fallbackText?: string;
  readonly choices?: readonly string[];
  /** Bounds of an integer, inclusive. */
  readonly min?: number;
  readonly max?: number;
  /** `ms`, `bytes`, `events` … */
  readonly unit?: string;
  /** The meaning, and the reason for the default. */
  readonly why: string;
}

export interface ConfigSource {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type Parsed<T> = { readonly help: string } | { readonly config: T };

/** The type of a configuration, as its table says. */
export type Values<T extends Record<string, Setting>> = {
  readonly [K in keyof T]: T[K]['kind'] extends 'integer'
    ? number
    : T[K]['kind'] extends 'switch'
      ? boolean
      : T[K] extends { readonly choices: readonly (infer Choice)[] }
        ? Choice
        : string;
};

/** Either the requested help text, or one value a setting. Throws `ConfigError`. */
export function readSettings<const T extends Record<string, Setting>>(
  program: string,
  table: T,
  source: ConfigSource,
): { readonly help: string } | { readonly values: Values<T> } {
  const settings: [string, Setting][] = Object.entries(table);
  const flags = readFlags(program, settings, source.args);
  if (flags === 'help') return { help: helpText(program, settings) };
  const given: Record<string, string> = {};
  for (const [, setting] of settings) {
    const text = (setting.flag === undefined ? undefined : flags.get(setting.flag)) ?? source.env[setting.env];
    if (text !== undefined && text !== '')
      given[setting.env] = setting.kind === 'switch' ? switched(program, setting, text) : text;
  }
  const definition: Record<string, convict.SchemaObj> = {};
  for (const [name, setting] of settings) {
    const text = given[setting.env];
    if (text === undefined && setting.fallback === undefined) {
      throw new ConfigError(`${program}: ${named(setting)} is required: ${setting.why}`);
    }
    if (text !== undefined && setting.kind === 'integer' && !/^\d{1,15}$/.test(text)) {
      throw new ConfigError(`${program}: ${named(setting)} must be an integer${range(setting)}, not "${text}"`);
    }
    definition[name] = {
      doc: setting.why,
      default: setting.fallback ?? '',
      env: setting.env,
      format:
        setting.kind === 'integer'
          ? 'nat'
          : setting.kind === 'switch'
            ? Boolean
            : setting.kind === 'choice'
              ? [...(setting.choices ?? [])]
              : (value: unknown) => {
                  if (typeof value !== 'string') throw new Error('must be a text');
                },
    };
  }
  const config = convict<Record<string, unknown>>(definition, { env: given, args: [] });
  try {
    config.validate({ allowed: 'strict' });
  } catch (error) {
    throw new ConfigError(`${program}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, setting] of settings) {
    const value = config.get(name);
    if (typeof value === 'number' && (value < (setting.min ?? 0) || value > (setting.max ?? Number.MAX_SAFE_INTEGER))) {
      throw new ConfigError(`${program}: ${named(setting)} must be an integer${range(setting)}, not ${value}`);
    }
    values[name] = value;
  }
  return { values: values as Values<T> };
}

/** Prints the help and exits 0, or returns the configuration. Throws `ConfigError`. */
export function configOrHelp<T>(parse: (source: ConfigSource) => Parsed<T>): T {
  try {
    const parsed = parse({ args: process.argv.slice(2), env: process.env });
    if ('config' in parsed) return parsed.config;
    process.stdout.write(parsed.help);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${error.message}\nTry --help.`);
  }
}

/** Limits of the HTTP server of either service. */
export function httpLimitsOf(values: {
  readonly maxInFlight: number;
  /** Absent: no limit for one address. */
  readonly maxAddressInFlight?: number;
  readonly maxArrivingBodies: number;
  readonly maxAnswersBytes: number;
}): HttpLimits {
  const { maxInFlight, maxAddressInFlight = 0, maxArrivingBodies, maxAnswersBytes } = values;
  return Object.freeze({
    inFlight: maxInFlight,
    addressInFlight: maxAddressInFlight,
    arrivingBodies: maxArrivingBodies,
    answersBytes: maxAnswersBytes,
    // Where each client has its own address, one has half at most.
    addressAnswersBytes: maxAddressInFlight === 0 ? 0 : maxAnswersBytes / 2,
  });
}

export interface Address {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** `host:port` or `[v6]:port`. */
export function parseAddress(program: string, flag: string, text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) {
    throw new ConfigError(`${program}: --${flag} must be host:port, for example 127.0.0.1:9500, not "${text}"`);
  }
  return { host, port };
}

/** The folder that holds `package.json`: the same for sources, `dist/` and the image. */
export const packageRoot: string = (() => {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new ConfigError(`no package.json above ${start}`);
  }
})();

/** A path from the operator is relative to the working directory, a default one to the package. */
export function resolvePath(given: string, fallback: string): string {
  return given === fallback ? resolve(packageRoot, fallback) : resolve(given);
}

function readFlags(
  program: string,
  settings: readonly [string, Setting][],
  args: readonly string[],
): Map<string, string> | 'help' {
  if (args.includes('--help') || args.includes('-h')) return 'help';
  const known = settings.flatMap(([, setting]) => setting.flag ?? []);
  const switches = settings.flatMap(([, { kind, flag }]) => (kind === 'switch' ? flag : []));
  const flags = new Map<string, string>();
  for (let index = 0; index < args.length; index += 1) {
    const match = /^--([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(args[index] ?? '');
    const flag = match?.[1];
    if (flag === undefined || !known.includes(flag)) {
      throw new ConfigError(
        `${program}: unknown argument "${args[index]}"; known: ${known.map((name) => `--${name}`).join(' ')}`,
      );
    }
    let value = match?.[2] ?? (switches.includes(flag) ? '1' : undefined);
    if (value === undefined) {
      index += 1;
      value = args[index];
    }
    if (value === undefined || value === '') throw new ConfigError(`${program}: --${flag} needs a value`);
    flags.set(flag, value);
  }
  return flags;
}

/** As convict reads it. */
function switched(program: string, setting: Setting, text: string): string {
  if (/^(1|true)$/.test(text)) return 'true';
  if (/^(0|false)$/.test(text)) return 'false';
  throw new ConfigError(`${program}: ${named(setting)} must be 1 or 0, not "${text}"`);
}

function named({ flag, env }: Setting): string {
  return flag === undefined ? env : `--${flag} (${env})`;
}

function range({ min, max }: Setting): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  return min === undefined ? '' : ` of at least ${min}`;
}

function helpText(program: string, settings: readonly [string, Setting][]): string {
  const rows = settings.map(([name, setting]) => [
    name,
    setting.flag === undefined ? '' : `--${setting.flag}`,
    setting.env,
    setting.fallbackText ?? (setting.fallback === undefined ? 'required' : String(setting.fallback)),
    [
      setting.unit === undefined ? '' : `${setting.unit}: `,
      setting.why,
      setting.choices === undefined ? '' : ` (${setting.choices.join(', ')})`,
    ].join(''),
  ]);
  const table = [['name', 'flag', 'env', 'default', 'meaning'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${program}: settings; a flag wins over its environment variable\n\n${lines.join('\n')}\n`;
}

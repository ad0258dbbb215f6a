/**
 * `tidal secrets certificates`: a private authority and the certificates of a cluster's processes, one directory for each as `tidal
 * secrets init` has them. Everything follows from one file in the operator's directory, the authorities with their keys; another run
 * renews what is about to expire, and changes nothing else.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { serversOf } from '../../../shared/stream/servers.ts';
import { loadTopology } from '../../../shared/topology/parse-topology.ts';
import { argumentsOf, required, say } from '../../backup/command.ts';
import type { Command } from '../command.ts';
import { makeOpenPart, replaceFile } from '../secret-files.ts';
import { type Issued, issue, newAuthority, type Process } from './issue.ts';

const AUTHORITIES_FILE = 'authorities.pem';
const CERT_FILE = 'tls-cert.pem';
const KEY_FILE = 'tls-key.pem';
const CA_FILE = 'tls-ca.pem';
const OWNER_ONLY = 0o600;
const EVERYBODY = 0o644;
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
const DEFAULT_DAYS = 365;
const MOST_DAYS = 3_650;

/** Unlike the other processes it does not look. */
const BROKER_STEP =
  '\nnats-server reads its files again on SIGHUP: nats-server --signal reload, or docker compose kill --signal HUP nats';

const steps = ['add', 'exchange', 'remove', 'renew'] as const;

export const clusterCertificates: Command = {
  summary: 'makes and renews a private authority and the certificates of the processes of a cluster',
  help: `tidal secrets certificates --directory DIR [--topology FILE] [--days N] [--step STEP]

Writes into the directory, one part for each process, which needs no other:

  operator          ${AUTHORITIES_FILE}, the authority with its key: keep it as the internal secret
  regions/<region>  ${CERT_FILE}, ${KEY_FILE}, ${CA_FILE}, for TIDAL_TLS_CERT_FILE, TIDAL_TLS_KEY_FILE, TIDAL_TLS_CA_FILE
  router            the same
  operator          the same
  nats              the same, for nats-server alone
  prometheus        ${CA_FILE}

An authority is made if there is none. A certificate is issued if it is absent or damaged, has less than a third of its time left, or is
for other names; so let it run once a month. Running processes read the files again; nats-server does on SIGHUP only, and the command says
when it has to.

  --topology  names the regions; a region's certificate is for the host of its url. Default TIDAL_TOPOLOGY
  --days      how long certificates are valid; default ${DEFAULT_DAYS}. An authority is valid for ten years
  --step      one step of a replacement, and then all of the above:
              renew     every certificate is issued again
              add       a second authority, whose certificates are accepted too
              exchange  the second one issues all certificates from now on; both are accepted
              remove    only the first one is accepted

nats-server's certificate is for the hosts in NATS_URL, nats if that is not set. Keys are read by their owner only, but for
nats/${KEY_FILE}. Directories that are made are their owner's only, but for nats and prometheus.
`,
  run(args) {
    const text = { type: 'string' } as const;
    const given = argumentsOf(args, { directory: text, topology: text, days: text, step: text });
    if (given === undefined) return;
    const directory = resolve(required(given, 'directory'));
    const topology = resolve(required({ topology: process.env.TIDAL_TOPOLOGY, ...given }, 'topology'));
    const days = Number(given.days ?? DEFAULT_DAYS);
    if (!Number.isInteger(days) || days < 1 || days > MOST_DAYS) {
      throw new ConfigError(`--days is an integer from 1 to ${MOST_DAYS}, not "${String(given.days)}"`);
    }
    const step = given.step === undefined ? undefined : String(given.step);
    say(`${directory}: ${writeCertificates({ directory, topology, days, step })}`);
  },
};

export interface CertificatesOptions {
  readonly directory: string;
  /** Path of the topology file. */
  readonly topology: string;
  readonly days?: number;
  readonly step?: string | undefined;
}

/** Returns what was done. Throws `ConfigError`. */
export function writeCertificates({ directory, topology, days = DEFAULT_DAYS, step }: CertificatesOptions): string {
  const nowMs = systemClock.nowMs();
  const processes = processesOf(topology);
  const authorities = stepped(join(directory, 'operator', AUTHORITIES_FILE), step, nowMs);
  const ca = authorities.map(({ cert }) => cert).join('');
  let issued = 0;
  let brokerChanged = false;
  for (const part of ['nats', 'prometheus']) makeOpenPart(join(directory, part));
  for (const [part, process] of processes) {
    const at = (file: string): string => join(directory, part, file);
    const isNew = !existsSync(at(CERT_FILE));
    let changed = replaceFile(at(CA_FILE), ca, EVERYBODY);
    const wanted = { authority: authorities[0]!, process, nowMs };
    if (step === 'renew' || !isFit(at(CERT_FILE), at(KEY_FILE), wanted)) {
      const { cert, key } = issue(authorities[0]!, process, { nowMs, days });
      // nats-server runs as another user, and nothing else has this directory.
      replaceFile(at(KEY_FILE), key, part === 'nats' ? EVERYBODY : OWNER_ONLY);
      changed = replaceFile(at(CERT_FILE), cert, EVERYBODY);
      issued++;
    }
    if (part === 'nats' && changed && !isNew) brokerChanged = true;
  }
  replaceFile(join(directory, 'prometheus', CA_FILE), ca, EVERYBODY);
  const accepted = authorities.length === 1 ? 'one authority' : 'two authorities';
  return `${issued} certificates issued, ${accepted} accepted${brokerChanged ? BROKER_STEP : ''}`;
}

/** By part of the directory. */
function processesOf(topology: string): ReadonlyMap<string, Process> {
  const sides = ['server', 'client'] as const;
  const { NATS_URL: url } = process.env;
  const servers = serversOf('tidal', url === undefined || url === '' ? 'nats://nats' : url);
  return new Map<string, Process>([
    ['operator', { name: 'operator', hosts: ['operator'], sides: ['client'] }],
    ['router', { name: 'router', hosts: ['router'], sides }],
    ['nats', { name: 'nats', hosts: [...new Set(servers.map(hostOf))], sides: ['server'] }],
    ...loadTopology(topology).regions.map(({ name, url }): [string, Process] => [
      `regions/${name}`,
      { name, hosts: [hostOf(url)], sides },
    ]),
  ]);
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}

/** The authorities of the file, after the step: the first one issues. */
function stepped(file: string, step: string | undefined, nowMs: number): readonly Issued[] {
  if (step !== undefined && !(steps as readonly string[]).includes(step)) {
    throw new ConfigError(`--step is one of ${steps.join(', ')}, not "${step}"`);
  }
  const fresh = (): Issued =>
    newAuthority(`tidal cluster authority ${new Date(nowMs).toISOString()}`, { nowMs, days: AUTHORITY_DAYS });
  const [first, second] = existsSync(file) ? authoritiesIn(file) : [fresh()];
  const kept = ((): readonly Issued[] => {
    if (step === undefined || step === 'renew') return second === undefined ? [first!] : [first!, second];
    if (step === 'add' && second === undefined) return [first!, fresh()];
    if (step === 'exchange' && second !== undefined) return [second, first!];
    if (step === 'remove' && second !== undefined) return [first!];
    const has = second === undefined ? 'one authority' : 'two authorities';
    throw new ConfigError(`${file} has ${has}: not the time for --step ${step}`);
  })();
  replaceFile(file, kept.map(({ cert, key }) => `${cert}${key}`).join(''), OWNER_ONLY);
  return kept;
}

function authoritiesIn(file: string): readonly Issued[] {
  const text = readFileSync(file, 'utf8');
  const blocks = (what: string): string[] =>
    text.match(new RegExp(`-----BEGIN ${what}-----[\\s\\S]*?-----END ${what}-----\\n`, 'g')) ?? [];
  const [certs, keys] = [blocks('CERTIFICATE'), blocks('PRIVATE KEY')];
  if (certs.length < 1 || certs.length > 2 || keys.length !== certs.length) {
    throw new ConfigError(`${file} does not hold one or two authorities, each a certificate and its key`);
  }
  return certs.map((cert, index) => {
    const key = keys[index]!;
    if (isPair(cert, key)) return { cert, key };
    // Another one would be refused by all processes, so none is made.
    throw new ConfigError(`${file}: authority ${index + 1} is damaged, or the key is not that of its certificate`);
  });
}

interface Wanted {
  readonly authority: Issued;
  readonly process: Process;
  readonly nowMs: number;
}

function isPair(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Whether there is a certificate of the authority for these names that need not be renewed. */
function isFit(cert: string, key: string, { authority, process: { hosts }, nowMs }: Wanted): boolean {
  if (!existsSync(cert) || !existsSync(key)) return false;
  const text = readFileSync(cert, 'utf8');
  if (!isPair(text, readFileSync(key, 'utf8'))) return false;
  const present = new X509Certificate(text);
  const [from, to] = [Date.parse(present.validFrom), Date.parse(present.validTo)];
  const names = hosts.map((host) => (isIP(host) === 0 ? present.checkHost(host) : present.checkIP(host)));
  return (
    present.verify(new X509Certificate(authority.cert).publicKey) &&
    to - nowMs > Math.max((to - from) / 3, DAY_MS / 24) &&
    names.every((name) => name !== undefined)
  );
}

/**
 * The users of the private nats-server, each with the least that its process needs. Regions publish their own origins and their own
 * heartbeat; no region and no router may delete, purge or change the stream or the control bucket. Both may create them, which
 * changes nothing that exists: they are recreated when the server has lost its store. The launcher brings their settings up to
 * date before it starts the others.
 */

import { aliveKey, DRILL_KEY, JOURNAL_KEY, LEASE_KEY } from '../../shared/leadership/leadership.ts';
import { CONTROL_BUCKET, LEADERSHIP_KEY, STREAM_NAME } from '../../shared/stream/settings.ts';
import { SUBJECT_PREFIX } from '../../shared/stream/stream.ts';

export interface NatsUser {
  readonly user: string;
  readonly password: string;
  /** The public key of an nkey, instead of user and password. */
  readonly nkey?: string;
  /** The process's name as a client, which is in the subjects of answers to it if it has no user and password. */
  readonly client: string;
  /** Subjects that it may publish to; absent: it may do everything. */
  readonly publish?: readonly string[];
}

const BUCKET_STREAM = `KV_${CONTROL_BUCKET}`;

function api(...what: readonly string[]): string[] {
  return what.map((each) => `$JS.API.${each}`);
}

function key(name: string): string {
  return `$KV.${CONTROL_BUCKET}.${name}`;
}

/** What every process does with the control bucket: read any key, write the leadership. */
const control = [
  key(LEADERSHIP_KEY),
  ...api(`STREAM.CREATE.${BUCKET_STREAM}`, `STREAM.INFO.${BUCKET_STREAM}`, `STREAM.MSG.GET.${BUCKET_STREAM}`),
];

export function regionUser(region: string, password: string): NatsUser {
  return {
    user: `region-${region}`,
    client: region,
    password,
    publish: [
      `${SUBJECT_PREFIX}${region}.*`,
      key(aliveKey(region)),
      ...control,
      ...api(`STREAM.CREATE.${STREAM_NAME}`, `STREAM.INFO.${STREAM_NAME}`, `STREAM.MSG.GET.${STREAM_NAME}`),
      ...api(`CONSUMER.CREATE.${STREAM_NAME}`, `CONSUMER.INFO.${STREAM_NAME}.*`, `CONSUMER.MSG.NEXT.${STREAM_NAME}.*`),
    ],
  };
}

export function routerUser(password: string): NatsUser {
  return {
    user: 'router',
    client: 'router',
    password,
    publish: [key(LEASE_KEY), key(DRILL_KEY), key(JOURNAL_KEY), ...control],
  };
}

/** Starts the others: it may do everything. */
export function launcherUser(password: string): NatsUser {
  return { user: 'launcher', client: 'settings', password };
}

/** Subjects of the answers to this user's requests: nothing else may be subscribed to. */
export function answersTo({ user, client, nkey }: NatsUser): string {
  return `_INBOX.${nkey === undefined ? user : client}.>`;
}

/** The server's configuration of these users, who alone may connect. */
export function usersBlock(users: readonly NatsUser[]): readonly string[] {
  return [
    'authorization {',
    '  users: [',
    ...users.map((each) => {
      const { user, password, nkey, publish } = each;
      const who =
        nkey === undefined ? `user: ${JSON.stringify(user)}, password: ${JSON.stringify(password)}` : `nkey: ${nkey}`;
      if (publish === undefined) return `    { ${who} }`;
      const permissions = `publish: ${JSON.stringify(publish)}, subscribe: ${JSON.stringify([answersTo(each)])}`;
      return `    { ${who}, permissions: { ${permissions} } }`;
    }),
    '  ]',
    '}',
  ];
}

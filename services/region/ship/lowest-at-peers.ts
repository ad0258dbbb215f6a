/** The sequence from which an empty subject is filled: every other region already reports everything up to it. */
import { sequenceOf } from '../../../shared/protocol/position.ts';
import type { Peers } from '../peers/peers.ts';

/** 0 if a peer is unreachable: then everything is shipped again, and receivers skip by position. */
export function lowestAtPeers(peers: Peers, origin: string): number {
  const reachable = [...peers.views.values()].filter((view) => view.reachable);
  if (reachable.length < peers.expected) return 0;
  const sequences = reachable.map(({ status }) => sequenceOf(status.durable, origin));
  return sequences.length === 0 ? 0 : Math.min(...sequences);
}

/** Where to start in an empty subject: what every other region reports is theirs already. */
import { reportedDurable, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Peers } from '../peers/peers.ts';

/** 0 where a peer cannot be asked: then everything is shipped again, and receivers skip by position. */
export function lowestAtPeers(peers: Peers, origin: string): number {
  const reachable = [...peers.views.values()].filter((view) => view.reachable);
  if (reachable.length < peers.expected) return 0;
  const sequences = reachable.map(({ status }) => sequenceOf(reportedDurable(status), origin));
  return sequences.length === 0 ? 0 : Math.min(...sequences);
}

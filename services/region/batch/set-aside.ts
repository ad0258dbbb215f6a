/** What the state makes of an event in quarantine. */
import type { Event } from '../../../shared/protocol/events.ts';

/** `event`: undefined if it cannot be read; `lastHlc`: of the event before it. */
export function setAside(event: Event | undefined, lastHlc: number): Event {
  if (event === undefined || event.kind === 'signal' || event.kind === 'retraction') {
    return { kind: 'delete', hlc: event?.hlc ?? lastHlc, entity: 0, aside: 'nothing' };
  }
  if (event.kind === 'delete') return event;
  const { kind: aside, hlc, entity, aheadMs } = event;
  const createdMs = event.kind === 'item' ? event.createdMs : undefined;
  return {
    ...{ kind: 'delete', hlc, entity, aside },
    ...(aheadMs === undefined ? {} : { aheadMs }),
    ...(createdMs === undefined ? {} : { createdMs }),
  };
}

/**
 * Reads `GET /cluster/live`. Not by `EventSource`, which cannot send a key. A stream that ends or says nothing is opened again, later
 * each time; a page that is not visible reads none.
 */
import { AskError, problemOf, send } from './api.js';

/** The router sends an event every 2 s. */
const SILENT_MS = 10_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/**
 * @typedef {object} Listener
 * @property {(past: import('../../../../shared/client/cluster-types.ts').LivePast) => void} onPast
 * @property {(now: import('../../../../shared/client/cluster-types.ts').LiveNow) => void} onNow
 * @property {(state: 'connected' | 'lost', why?: AskError) => void} onConnection
 * @property {(why: AskError) => void} onRefused The key does not allow it: nothing more is asked.
 */

/**
 * @param {Listener} listener
 * @returns {() => void} Ends it.
 */
export function openStream(listener) {
  const ended = new AbortController();
  void run(listener, ended.signal);
  return () => ended.abort();
}

/**
 * @param {Listener} listener
 * @param {AbortSignal} ended
 */
async function run(listener, ended) {
  let pauseMs = FIRST_PAUSE_MS;
  while (!ended.aborted) {
    await visible(ended);
    try {
      await readOnce(listener, ended, () => {
        pauseMs = FIRST_PAUSE_MS;
      });
      if (ended.aborted || document.hidden) continue;
      listener.onConnection('lost');
    } catch (error) {
      if (ended.aborted) return;
      const known = error instanceof AskError ? error : new AskError(0, { title: 'No answer' });
      if (known.status === 401 || known.status === 403) {
        listener.onRefused(known);
        return;
      }
      listener.onConnection('lost', known);
    }
    await pause(pauseMs * (0.75 + Math.random() / 2), ended);
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
  }
}

/**
 * @param {Listener} listener
 * @param {AbortSignal} ended
 * @param {() => void} onEvent
 */
async function readOnce(listener, ended, onEvent) {
  const aborted = new AbortController();
  const abort = () => aborted.abort();
  const hide = () => {
    if (document.hidden) abort();
  };
  let timer = setTimeout(abort, SILENT_MS);
  ended.addEventListener('abort', abort);
  document.addEventListener('visibilitychange', hide);
  try {
    const response = await send('/cluster/live', { signal: aborted.signal, headers: { accept: 'text/event-stream' } });
    if (!response.ok || response.body === null) throw await problemOf(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        clearTimeout(timer);
        timer = setTimeout(abort, SILENT_MS);
        onEvent();
        pass(event, listener);
      }
    }
  } catch (error) {
    if (error instanceof AskError || ended.aborted) throw error;
    // It was broken off: by this page, or by the network.
  } finally {
    clearTimeout(timer);
    ended.removeEventListener('abort', abort);
    document.removeEventListener('visibilitychange', hide);
    abort();
  }
}

/**
 * @param {string} event
 * @param {Listener} listener
 */
function pass(event, listener) {
  const lines = event.split('\n');
  const data = lines.find((line) => line.startsWith('data: '))?.slice('data: '.length);
  if (data === undefined) return;
  if (lines.includes('event: past')) listener.onPast(JSON.parse(data));
  else if (lines.includes('event: now')) {
    listener.onConnection('connected');
    listener.onNow(JSON.parse(data));
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} ended
 */
function pause(ms, ended) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    ended.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

/** @param {AbortSignal} ended */
function visible(ended) {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !ended.aborted) return;
      document.removeEventListener('visibilitychange', look);
      resolve(undefined);
    };
    document.addEventListener('visibilitychange', look);
    ended.addEventListener('abort', look);
    look();
  });
}

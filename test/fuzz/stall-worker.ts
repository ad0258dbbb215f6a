/** A thread with nothing to do: by how much its timer is late is what the machine does not give to anyone. */
import { workerData } from 'node:worker_threads';

const BEAT_MS = 20;
const longestMs = new Float64Array(workerData as SharedArrayBuffer);
let dueMs = performance.now() + BEAT_MS;
setInterval(() => {
  const nowMs = performance.now();
  longestMs[0] = Math.max(longestMs[0]!, nowMs - dueMs);
  dueMs = nowMs + BEAT_MS;
}, BEAT_MS);

/** Health, metrics and the document itself. */
import { type Operation, type Response, ref, text } from './document.ts';
import { answerHeaders, requestId } from './parameters.ts';
import { refusals } from './problem-responses.ts';

interface Look {
  readonly id: string;
  readonly summary: string;
  readonly answers: Readonly<Record<string, Response>>;
  /** Absent: it needs no key. */
  readonly scope?: 'metrics';
}

function look({ id, summary, answers, scope }: Look): Operation {
  return {
    ...{ operationId: id, summary, tags: ['process'], parameters: [requestId] },
    security: scope === undefined ? [] : [{ key: [scope] }],
    responses: { ...refusals(scope === undefined ? 'open' : 'keyed', []), ...answers },
    'x-repeatable': 'always',
  };
}

const json = (schema: string, description: string, ...headers: readonly 'Retry-After'[]): Response => ({
  description,
  headers: answerHeaders(...headers),
  content: { 'application/json': { schema: ref(schema) } },
});
const metrics: Response = {
  description: 'Prometheus text.',
  headers: answerHeaders(),
  content: { 'text/plain': { schema: text() } },
};

const page: Response = {
  description: 'HTML.',
  headers: answerHeaders(
    ...(['ETag', 'Cache-Control', 'Content-Security-Policy', 'X-Content-Type-Options', 'Referrer-Policy'] as const),
  ),
  content: { 'text/html': { schema: text() } },
};

export const openOperations = {
  'GET /': look({
    ...{
      id: 'getConsole',
      summary: 'The console, for a browser; its files are below `/console/`',
      answers: { 200: page },
    },
  }),
  'GET /health': look({
    ...{ id: 'getHealth', summary: 'Whether writes are accepted, and what is wrong' },
    answers: {
      200: json('HealthAnswer', 'Writes are accepted.'),
      503: json('HealthAnswer', 'No region accepts writes.', 'Retry-After'),
    },
  }),
  'GET /health/live': look({
    ...{ id: 'getLive', summary: 'The process answers' },
    answers: { 200: json('LiveAnswer', 'It does.') },
  }),
  'GET /health/ready': look({
    ...{ id: 'getReady', summary: 'Whether this router should get requests' },
    answers: {
      200: json('ReadyAnswer', 'The leader is known and ready.'),
      503: json('ReadyAnswer', 'There is no ready leader, or this router is about to stop.'),
    },
  }),
  'GET /metrics': look({
    ...{ id: 'getMetrics', summary: 'Metrics of this router', scope: 'metrics', answers: { 200: metrics } },
  }),
  'GET /metrics/nats': look({
    ...{ id: 'getBrokerMetrics', summary: 'Metrics of the broker, if this router knows its monitoring port' },
    scope: 'metrics',
    answers: { 200: metrics },
  }),
  'GET /openapi.json': look({
    ...{ id: 'getOpenApi', summary: 'This document' },
    answers: {
      200: {
        description: 'OpenAPI 3.1.',
        headers: answerHeaders(),
        content: {
          'application/json': { schema: { type: 'object', description: 'As the OpenAPI specification has it.' } },
        },
      },
    },
  }),
} as const satisfies Readonly<Record<string, Operation>>;

/** The OpenAPI document. It is the same for every cluster of this version and holds no data, so it needs no key. */
import type { Router } from '@koa/router';
import { DOCUMENT_PATH, openApiDocument } from '../openapi/openapi.ts';

/** Written once: it never changes. */
const text = JSON.stringify(openApiDocument);

export function addDocumentRoute(router: Router): void {
  router.get(DOCUMENT_PATH, (ctx) => {
    ctx.type = 'application/json';
    ctx.body = text;
  });
}

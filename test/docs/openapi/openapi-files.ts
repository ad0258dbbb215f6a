/** What is generated from the OpenAPI document: path → content. */
import { openApiDocument } from '../../../services/router/openapi/openapi.ts';

export function openApiFiles(): ReadonlyMap<string, string> {
  return new Map([['docs/openapi.json', `${JSON.stringify(openApiDocument, undefined, 2)}\n`]]);
}

/** The public routes, from the OpenAPI document. */
import { operations } from '../../services/router/openapi/openapi.ts';

/** `METHOD /pattern` of each, with `:id` for a parameter of the path. */
export function publicRoutes(): readonly string[] {
  return Object.keys(operations).map((name) => name.replace(/\{(\w+)\}/g, ':$1'));
}

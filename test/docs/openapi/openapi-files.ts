/** What is generated from the OpenAPI document: path → content. */
import { execFileSync } from 'node:child_process';
import { openApiDocument } from '../../../services/router/openapi/openapi.ts';
import { clientFiles } from './client-files.ts';

export function openApiFiles(): ReadonlyMap<string, string> {
  const sources = [...clientFiles(openApiDocument)].map(([path, text]) => [path, formatted(path, text)] as const);
  return new Map([['docs/openapi.json', `${JSON.stringify(openApiDocument, undefined, 2)}\n`], ...sources]);
}

function formatted(path: string, text: string): string {
  return execFileSync('npx', ['biome', 'format', `--stdin-file-path=${path}`], { input: text, encoding: 'utf8' });
}

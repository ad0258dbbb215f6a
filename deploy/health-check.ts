/** A container's health check: `node dist/deploy/health-check.js <url>` exits 0 when the URL answers 200, else 1. */
import { get } from 'node:http';

const [, , url = ''] = process.argv;

get(url, { headers: { connection: 'close' } }, ({ statusCode }) => {
  if (statusCode !== 200) console.error(`${url} answered ${statusCode}`);
  process.exit(statusCode === 200 ? 0 : 1);
}).on('error', (error) => {
  console.error(`${url}: ${error.message}`);
  process.exit(1);
});

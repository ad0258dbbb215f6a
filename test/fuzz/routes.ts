/** The public routes, from the router itself. */
import { memoryCluster } from '../harness/router/memory-cluster.ts';

interface Layer {
  readonly path: unknown;
  readonly methods: readonly string[];
}

/** `METHOD /pattern` of each; HEAD, which every GET answers, is left out. */
export function publicRoutes(): readonly string[] {
  const { app } = memoryCluster().router as unknown as {
    readonly app: { readonly middleware: readonly { readonly router?: { readonly stack: readonly Layer[] } }[] };
  };
  return app.middleware
    .flatMap(({ router }) => router?.stack ?? [])
    .flatMap(({ path, methods }) =>
      methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${String(path)}`),
    );
}

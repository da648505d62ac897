import { connect } from '../association/connect.ts';
import type { ConnectOptions } from '../association/connect.ts';
import type { Association } from '../association/association.ts';
import { createServer } from '../server/create-server.ts';
import type { DimseServer, ServerOptions } from '../server/create-server.ts';
import { AE_TITLES, CT_CONTEXT } from './part10-fixture.ts';

export interface Pair extends AsyncDisposable {
  readonly server: DimseServer;
  readonly association: Association;
}

/** Our server on a free port. */
export async function listen(options: Partial<ServerOptions> = {}): Promise<{ server: DimseServer; port: number }> {
  const server = createServer({ presentationContexts: [CT_CONTEXT], artimTimeoutMs: 60_000, ...options });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return { server, port };
}

/** An association with a server, both from this package. */
export async function openPair(
  serverOptions: Partial<ServerOptions> = {},
  options: Partial<ConnectOptions> = {},
): Promise<Pair> {
  const { server, port } = await listen(serverOptions);
  try {
    const association = await connect({
      host: '127.0.0.1',
      port,
      ...AE_TITLES,
      presentationContexts: [CT_CONTEXT],
      ...options,
    });
    return {
      server,
      association,
      async [Symbol.asyncDispose]() {
        association.abort();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

import {
  startOrthanc,
  startStorescp,
  startSwift,
  type OrthancServer,
  type StorescpServer,
  type SwiftServer,
} from '@dicom-dispatch/harness';

/** The servers that all schedules share; each schedule has its own studies, Redis and bucket. */
export interface LiarScene extends AsyncDisposable {
  readonly source: OrthancServer;
  readonly web: OrthancServer;
  readonly peer: OrthancServer;
  readonly scp: StorescpServer;
  readonly swift: SwiftServer;
}

export async function startLiarScene(swift?: SwiftServer): Promise<LiarScene> {
  const stack = new AsyncDisposableStack();
  const [source, web, peer, scp] = await Promise.all([
    startOrthanc(),
    startOrthanc({ plugins: ['dicomweb'] }),
    startOrthanc(),
    startStorescp({ acceptAll: true }),
  ]);
  for (const server of [source, web, peer, scp]) stack.use(server);
  const s3 = swift ?? stack.use(await startSwift());
  return { source, web, peer, scp, swift: s3, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

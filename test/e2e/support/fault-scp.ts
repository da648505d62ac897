import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type DimseServer } from 'dicom-dimse';

/** One C-STORE that reached the receiver completely, and its response. */
export interface StoredOnce {
  readonly sopInstanceUid: string;
  readonly datasetHash: string;
  readonly status: number;
  /** AE title of the sender. */
  readonly callingAe: string;
}

export interface FaultScp extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly aet: string;
  /** Every C-STORE received, in order, including duplicates. */
  readonly stores: StoredOnce[];
  /** SOP Instance UID to hash of the data set, for accepted instances. */
  accepted(): Map<string, string>;
  /** Decides on each instance; default success. */
  answer: (sopInstanceUid: string, count: number) => number | 'die' | Promise<number | 'die'>;
  /** Delay of each response; default 0. */
  delayMs: number;
  /** Stops listening and drops every association. */
  down(): Promise<void>;
  /** Listens again on the same port, if it does not. */
  up(): Promise<void>;
}

export interface FaultScpOptions {
  /** Default any that is free. */
  readonly port?: number;
  /** More at the same time are rejected: "local limit exceeded". */
  readonly maxAssociations?: number;
  /** Each association is cut at the instance after this number. */
  readonly associationEndsAfter?: number;
}

/**
 * A real DICOM receiver (our own stack's server, whose interoperability has separate tests) that records every C-STORE and
 * can reject, delay or die at the point that a test chooses. DCMTK's receivers cannot do that at a chosen instance.
 */
export async function startFaultScp(options: FaultScpOptions = {}): Promise<FaultScp> {
  const stores: StoredOnce[] = [];
  const onAssociation = new WeakMap<object, number>();
  let server: DimseServer | undefined;
  const scp: FaultScp = {
    host: '127.0.0.1',
    port: options.port ?? 0,
    aet: 'FAULTSCP',
    stores,
    accepted: () =>
      new Map(
        stores
          .filter(({ status }) => status === 0)
          .map(({ sopInstanceUid, datasetHash }) => [sopInstanceUid, datasetHash]),
      ),
    answer: () => 0,
    delayMs: 0,
    async down() {
      await server?.close();
      server = undefined;
    },
    async up() {
      if (server) return;
      server = createServer({
        presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
        maxAssociations: options.maxAssociations,
        handlers: {
          async store(instance) {
            const served = (onAssociation.get(instance.association) ?? 0) + 1;
            onAssociation.set(instance.association, served);
            if (served > (options.associationEndsAfter ?? Number.POSITIVE_INFINITY)) {
              instance.association.abort();
              return 0x0110;
            }
            const hash = createHash('sha256');
            for await (const chunk of instance.dataSet) hash.update(chunk);
            if (scp.delayMs > 0) await sleep(scp.delayMs);
            const answer = await scp.answer(instance.sopInstanceUid, stores.length);
            if (answer === 'die') {
              void scp.down();
              return 0x0110;
            }
            stores.push({
              sopInstanceUid: instance.sopInstanceUid,
              datasetHash: hash.digest('hex'),
              status: answer,
              callingAe: instance.association.peer.aeTitle,
            });
            return answer;
          },
        },
      });
      const address = await server.listen({ port: scp.port, host: '127.0.0.1' });
      (scp as { port: number }).port = address.port;
    },
    [Symbol.asyncDispose]: () => scp.down(),
  };
  await scp.up();
  return scp;
}

import { httpRequest, startHttpServer, type HttpStandIn, type RecordedRequest } from '@dicom-dispatch/harness';

interface Change {
  readonly Seq: number;
  readonly ChangeType: string;
}
interface Page {
  readonly Changes: readonly Change[];
  readonly Done: boolean;
  readonly Last: number;
}

export interface FeedStandIn extends AsyncDisposable {
  readonly url: string;
  /**
   * Changes for which this is true are not in the feed, as if their transaction were not committed yet or had never existed.
   */
  hide: (change: Change) => boolean;
  /** Called with each response of Orthanc, which is passed on when this has resolved. */
  hold: (request: Pick<RecordedRequest, 'path' | 'query'>) => Promise<void> | undefined;
  /** Number of requests for the feed. */
  asked(): number;
  readonly server: HttpStandIn;
}

/**
 * A real Orthanc behind a scripted change feed: simulates what Debian's Orthanc on SQLite cannot do, such as PostgreSQL
 * transactions that commit out of order, or an event that could not be written.
 */
export async function startFeedStandIn(orthancUrl: string): Promise<FeedStandIn> {
  let asked = 0;
  const standIn: FeedStandIn = {
    url: '',
    hide: () => false,
    hold: () => undefined,
    asked: () => asked,
    server: await startHttpServer(async (request, response) => {
      const query = request.query.toString();
      const answer = await httpRequest(`${orthancUrl}${request.path}${query ? `?${query}` : ''}`, {
        method: request.method,
        ...(request.bodyBytes > 0 && { body: request.body, headers: { 'content-type': 'application/json' } }),
      });
      await standIn.hold(request);
      let { body } = answer;
      if (request.path === '/changes' && answer.status === 200) {
        asked += 1;
        const page = JSON.parse(body.toString()) as Page;
        const shown = page.Changes.filter((change) => !standIn.hide(change));
        body = Buffer.from(JSON.stringify({ ...page, Changes: shown }));
      }
      response.writeHead(answer.status, {
        'content-type': String(answer.headers['content-type'] ?? 'application/octet-stream'),
        'content-length': body.length,
      });
      response.end(body);
    }),
    [Symbol.asyncDispose]: () => standIn.server.stop(),
  };
  return Object.assign(standIn, { url: standIn.server.url });
}

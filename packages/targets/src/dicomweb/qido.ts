import { DispatchError } from '@dicom-dispatch/core';
import { statusError, type HttpAnswer, type HttpConnection } from '../http/index.ts';
import { jsonDatasets, parseJson, uidOf, type JsonDataset } from './dicom-json.ts';

const pageSize = 500;
/** Maximum length of a page: a service that ignores the limit may return everything in one page. */
const maxPageBytes = 64_000_000;
const maxResults = 500_000;

export interface QidoQuery {
  /** Absolute URL, e.g. `https://pacs.example/dicom-web/studies`. */
  readonly address: string;
  readonly keys?: Readonly<Record<string, string>>;
  /** Tags or keywords in addition to those that the service returns by default. */
  readonly include?: readonly string[];
  /** The tag that identifies results, to detect a service that ignores `offset`. */
  readonly uidTag: string;
}

interface SearchHooks {
  /** Called at the end if the service reports more results (warning 299) but does not return them. */
  readonly onCut?: () => void;
  /** Called before each request: a search has one request more than pages with results. */
  readonly beforePage?: () => Promise<void>;
}

/**
 * All results of a QIDO-RS search (PS3.18 section 10.6), page by page, with any page size of the service.
 *
 * @throws {DispatchError} if the service does not return results
 */
export async function* searchAll(
  http: HttpConnection,
  query: QidoQuery,
  signal: AbortSignal,
  { onCut, beforePage }: SearchHooks = {},
): AsyncGenerator<JsonDataset, void, undefined> {
  const seen = new Set<string>();
  let offset = 0;
  let hadMore = false;
  for (;;) {
    await beforePage?.();
    const { results, hasMore } = await readPage(http, query, { limit: pageSize, offset }, signal);
    let fresh = 0;
    for (const result of results) {
      const uid = uidOf(result, query.uidTag);
      if (uid === undefined || seen.has(uid)) continue;
      if (seen.size >= maxResults) throw endless(maxResults);
      seen.add(uid);
      fresh += 1;
      yield result;
    }
    // Only a page without new results is the end: the service may limit its pages to fewer results than requested.
    if (fresh === 0) {
      if (hadMore) onCut?.();
      return;
    }
    hadMore = hasMore;
    offset += results.length;
  }
}

export async function searchPage(
  http: HttpConnection,
  query: QidoQuery,
  page: { readonly limit: number; readonly offset: number },
  signal: AbortSignal,
): Promise<readonly JsonDataset[]> {
  return (await readPage(http, query, page, signal)).results;
}

interface Page {
  readonly results: readonly JsonDataset[];
  /** Whether the service reports that there are more results (PS3.18 section 8.3.4.4). */
  readonly hasMore: boolean;
}

async function readPage(
  http: HttpConnection,
  query: QidoQuery,
  page: { readonly limit: number; readonly offset: number },
  signal: AbortSignal,
): Promise<Page> {
  const none = { results: [], hasMore: false };
  const { address, keys = {}, include = [], uidTag } = query;
  const answer = await askPage(http, address, keys, include, page, signal);
  // 204 is the response without results; some services respond with 404.
  if (answer.status === 204 || answer.status === 404) {
    await answer.discard();
    return none;
  }
  if (answer.status !== 200) {
    await answer.discard();
    throw statusError(answer.status, { what: 'a search', retryAfterMs: answer.retryAfterMs });
  }
  const text = await answer.text(maxPageBytes);
  if (text.trim() === '') return none;
  const results = readResults(text, uidTag);
  const hasMore = answer.headers('warning').some((warning) => /\b299\b/.test(warning));
  if (results) return { results, hasMore };
  throw new DispatchError('target-misconfigured', `the response from ${http.host} to a search is not DICOM JSON`, {
    remedy: 'Check the address of the service (url, qidoUrl).',
  });
}

/** The results of a search; undefined if the text is something else. Invalid entries are skipped. */
export function readResults(text: string, uidTag: string): JsonDataset[] | undefined {
  const json = parseJson(text);
  if (!Array.isArray(json)) return undefined;
  const results = jsonDatasets(json).filter((one) => uidOf(one, uidTag) !== undefined);
  return results.length === 0 && json.length > 0 ? undefined : results;
}

/** Requests a page and returns the response itself, for callers that check its status. */
export function askPage(
  http: HttpConnection,
  address: string,
  keys: Readonly<Record<string, string>>,
  include: readonly string[],
  { limit, offset }: { readonly limit: number; readonly offset: number },
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const parameters = new URLSearchParams(keys);
  for (const tag of include) parameters.append('includefield', tag);
  parameters.append('limit', String(limit));
  if (offset > 0) parameters.append('offset', String(offset));
  return http.request({
    method: 'GET',
    // Spaces as %20: some services treat a plus sign literally.
    path: `${address}?${parameters.toString().replaceAll('+', '%20')}`,
    headers: { accept: 'application/dicom+json' },
    signal,
  });
}

function endless(count: number): DispatchError {
  return new DispatchError('target-error', `the target listed more than ${count} results to one search`, {
    remedy: 'Narrow the search. If it was for one study, check the target: its paging may not end.',
  });
}

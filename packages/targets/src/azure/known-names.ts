import type { Container } from './container.ts';
import { azureStatus, translateAzureError } from './errors.ts';
import { commonFolder } from '../s3/known-keys.ts';

/** A page has at most 5,000 names (REST reference, "List Blobs"). */
const namesPerPage = 5_000;
/** If a list has more than this number of additional pages, other blobs share the prefix: then each name is checked instead. */
const pagesToSpare = 1;

/**
 * Sends a small request to the container, to check that it exists and accepts the login before instances are opened.
 *
 * @returns whether listing is permitted
 * @throws {DispatchError} in stage `connect`
 */
export async function enterContainer(container: Container, signal: AbortSignal): Promise<boolean> {
  const { client, config, host } = container;
  try {
    await container.raw(signal, async (sending) => {
      const pages = client.listBlobsFlat({ prefix: config.prefix, ...sending }).byPage({ maxPageSize: 1 });
      for await (const page of pages) return page;
      return undefined;
    });
    return true;
  } catch (thrown) {
    const error = translateAzureError(thrown, host, 'Checking the container', 'connect');
    // A SAS may permit writing but not listing: writing shows whether it is accepted.
    const mayWrite = azureStatus(thrown) === 403 && isAboutPermission(thrown);
    if (mayWrite) return false;
    throw error;
  }
}

function isAboutPermission(thrown: unknown): boolean {
  const code = (thrown as { readonly code?: unknown }).code;
  return code === 'AuthorizationPermissionMismatch' || code === 'AuthorizationResourceTypeMismatch';
}

/**
 * Which of the names are taken, by listing their common prefix once instead of checking each.
 *
 * @returns undefined if listing would take longer than checking
 */
export async function takenNames(
  container: Container,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const wanted = new Set(names);
  const taken = new Set<string>();
  const maxPages = Math.ceil(names.length / namesPerPage) + pagesToSpare;
  return container.act('Listing a folder', signal, async (sending) => {
    let count = 0;
    const options = { prefix: commonFolder(names), ...sending };
    for await (const page of container.client.listBlobsFlat(options).byPage({ maxPageSize: namesPerPage })) {
      for (const { name } of page.segment.blobItems) if (wanted.has(name)) taken.add(name);
      count += 1;
      if (count >= maxPages && page.continuationToken) return undefined;
    }
    return taken;
  });
}

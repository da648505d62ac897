import type { Stats } from 'ssh2';

/** The entry at a path. */
export interface Found {
  readonly kind: 'file' | 'folder' | 'link' | 'special';
  readonly size: number;
}

export interface ListedFile extends Found {
  readonly name: string;
  readonly modifiedMs: number;
}

export function kindOf(found: Stats): Found['kind'] {
  // A server need not report the type (draft-ietf-secsh-filexfer-02 section 5).
  if ((found.mode as number | undefined) === undefined || found.isFile()) return 'file';
  if (found.isDirectory()) return 'folder';
  return found.isSymbolicLink() ? 'link' : 'special';
}

import { access, constants } from 'node:fs/promises';

/** Whether a path is on a file system that is mounted read-only, such as a ConfigMap or Secret volume of Kubernetes. */
export async function isReadOnly(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'EROFS',
  );
}

/** More than this is never read of one instance whose size nobody has told: a body that never ends must not fill a disk. */
export const maxInstanceBytes = 16e9;

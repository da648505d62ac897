/** Maximum size of an instance of unknown size: an endless body must not fill a disk. */
export const maxInstanceBytes = 16e9;

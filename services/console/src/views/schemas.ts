/** Responses of the API and data of the pages: one set of schemas for both. */
export * from './delivery-schemas.ts';
export * from './prior-schemas.ts';
export * from './system-schemas.ts';

/** What the API answers and the pages show: one set of shapes for both. */
export * from './delivery-schemas.ts';
export * from './prior-schemas.ts';
export * from './system-schemas.ts';

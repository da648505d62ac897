export * from './intermediate/index.ts';
export * from './objects/index.ts';
export * from './search/index.ts';
export * from './standalone/index.ts';

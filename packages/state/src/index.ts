export * from './circuit/index.ts';
export * from './generation/index.ts';
export * from './keys/index.ts';
export * from './ledger/index.ts';
export * from './records/index.ts';
export * from './redis/index.ts';
export * from './target-memory/index.ts';
export * from './target-places/index.ts';

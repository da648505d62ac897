export * from './contract/index.ts';
export { targetKit, type TargetKit } from './kit.ts';

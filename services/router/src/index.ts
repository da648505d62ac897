export { startRouter, type RouterOptions } from './start-router.ts';

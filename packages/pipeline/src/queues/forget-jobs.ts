/**
 * What forgetting a study has to know of BullMQ's keys: a part of the script in `packages/state/src/records/forget-script.ts`, where
 * `prefix` is known. Jobs that have ended are taken away as BullMQ would, but for one thing: BullMQ lets a study task run when the
 * last job that it waits for is taken away, as if all had arrived. Here it goes with them.
 */
export const forgetJobs = `
local taskSets, jobSets = { 'completed', 'failed', 'waiting-children' }, { 'completed', 'failed' }
local function isAtRest(queue, id, sets)
  local base = prefix .. ':' .. queue .. ':'
  if redis.call('EXISTS', base .. id) == 0 then return true end
  for _, set in ipairs(sets) do if redis.call('ZSCORE', base .. set, id) then return true end end
  return false
end
local function jobOf(data) return prefix .. ':target-' .. data.target .. ':' .. data.deliveryId end
local function taskOf(data)
  local parent = redis.call('HGET', jobOf(data), 'parentKey')
  return parent and string.match(parent, '([^:]+)$') or data.studyTaskId
end
local function dropJob(queue, id)
  local base = prefix .. ':' .. queue .. ':'
  local job = base .. id
  if redis.call('EXISTS', job) == 0 then return end
  for _, set in ipairs(taskSets) do redis.call('ZREM', base .. set, id) end
  redis.call('UNLINK', job, job .. ':logs', job .. ':dependencies', job .. ':processed', job .. ':failed', job .. ':unsuccessful')
end

local function areJobsAtRest(data)
  return isAtRest('target-' .. data.target, data.deliveryId, jobSets)
    and isAtRest('study', taskOf(data), taskSets) and isAtRest('study', data.studyTaskId, taskSets)
end
local function jobKeys(data) return { jobOf(data), jobOf(data) .. ':logs' } end
local function dropJobs(data)
  local tasks = { taskOf(data), data.studyTaskId }
  dropJob('target-' .. data.target, data.deliveryId)
  for _, task in ipairs(tasks) do dropJob('study', task) end
  return tasks
end
`;

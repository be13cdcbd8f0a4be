// Entry of the softphone library for the browser: JsSIP ships CommonJS only, and this file is what the build step
// turns into one ES module. It is not our softphone (that is crm_core/web/static/softphone.js).
export { default } from "jssip";

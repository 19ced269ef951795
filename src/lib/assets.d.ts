/** Files that are carried along as they are; the import is their path, in the executable too. */
declare module "*.tiktoken" {
  const path: string;
  export default path;
}

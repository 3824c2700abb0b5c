ALTER TABLE `task_pages` ADD `hour` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `task_pages_hour` ON `task_pages` (`cell`,`hour`);